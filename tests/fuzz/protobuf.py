"""Protobuf messages as lists of fields, to mutate them one by one.

The wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import random

from fuzz.mutate import NUMBERS, TEXTS, mutate_bytes

Field = tuple[int, int, bytes]  # number, wire type, value (without a length)


def varint(value: int) -> bytes:
    """`value` modulo 2^64."""
    value %= 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: bytes | int) -> bytes:
    """A field: bytes with their length, or a varint."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message: bytes) -> list[Field]:
    """The fields of a valid message."""
    found, at = [], 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire = tag & 7
        start = at
        if wire == 0:
            _, at = _read_varint(message, at)
        elif wire == 2:
            size, start = _read_varint(message, at)
            at = start + size
        else:
            at += 8 if wire == 1 else 4
        found.append((tag >> 3, wire, message[start:at]))
    return found


def message_of(parts: list[Field]) -> bytes:
    """The message with these fields."""
    return b"".join(
        varint(number << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value
        for number, wire, value in parts
    )


def mutate_message(rng: random.Random, message: bytes) -> bytes:
    """The message with one field changed, or one inside of a field that is a message."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, message)
    parts = fields(message)
    if not parts:
        return rng.randbytes(rng.randrange(40))
    at = rng.randrange(len(parts))
    number, wire, value = parts[at]
    kind = rng.randrange(9)
    if kind == 0:
        del parts[at]
    elif kind == 1:
        parts.insert(rng.randrange(len(parts)), parts[at])
    elif kind == 2:
        parts[at] = (rng.choice((0, 1, 2, 3, 15, 100, 2**29 - 1)), wire, value)
    elif kind == 3:
        parts[at] = (number, rng.randrange(8), value)
    elif kind == 4:
        text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        parts[at] = (number, 2, text)
    elif kind == 5:
        parts[at] = (number, 0, varint(int(rng.choice(NUMBERS[:23]))))
    elif kind == 6:
        parts[at] = (number, 0, b"\xff" * rng.choice((9, 10, 11, 5000, 200_000)))
    elif wire == 2 and value:
        parts[at] = (number, wire, _mutate_inner(rng, value))
    else:
        parts[at] = (number, wire, mutate_bytes(rng, value))
    return message_of(parts)


def _mutate_inner(rng: random.Random, value: bytes) -> bytes:
    try:
        return mutate_message(rng, value)
    except IndexError:  # a text, and not a message
        return mutate_bytes(rng, value)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
