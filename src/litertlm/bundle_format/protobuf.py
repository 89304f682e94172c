"""The protobuf wire format: varints and fields.

Specification: https://protobuf.dev/programming-guides/encoding. Every function is linear in the
size of its input, and raises ValueError where the input is malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_VARINT_BYTES = 10  # of a 64-bit integer, 7 bits a byte
_SMALL = [bytes([value]) for value in range(128)]


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned integer at `position`, and the position after it."""
    value = 0
    for shift, byte in enumerate(data[position : position + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    raise ValueError("a varint is cut off or has more than 10 bytes")


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: its number, and an integer (varints) or bytes (all others)."""
    position = 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, position = read_varint(data, position)
            yield number, value
            continue
        if wire_type == BYTES:
            length, position = read_varint(data, position)
        elif wire_type in _FIXED_SIZES:
            length = _FIXED_SIZES[wire_type]
        else:
            raise ValueError(f"field {number} has the unknown wire type {wire_type}")
        if position + length > len(data):
            raise ValueError(f"field {number} ends beyond its message")
        yield number, data[position : position + length]
        position += length


def as_bytes(value: int | bytes) -> bytes:
    """A field that must be a message, a string or bytes."""
    if isinstance(value, int):
        raise ValueError("an integer where a message is expected")
    return value


def as_text(value: int | bytes) -> str:
    """A field that must be a UTF-8 string."""
    return as_bytes(value).decode()


def as_int32(value: int | bytes) -> int:
    """A field that must be an int32; a negative one is stored as 64 bits."""
    if isinstance(value, bytes):
        raise ValueError("bytes where an integer is expected")
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def as_float(value: int | bytes) -> float:
    """A field that must be a 32-bit float."""
    data = as_bytes(value)
    if len(data) != 4:
        raise ValueError(f"{len(data)} bytes where a 32-bit float is expected")
    number: float = struct.unpack("<f", data)[0]
    return number


def as_int32_list(value: int | bytes) -> list[int]:
    """One occurrence of a `repeated int32`: an integer, or several, packed into bytes."""
    if isinstance(value, int):
        return [as_int32(value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = read_varint(value, position)
        numbers.append(as_int32(number))
    return numbers


def varint(value: int) -> bytes:
    """An unsigned integer as a varint."""
    if value < 128:
        return _SMALL[value]
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def bytes_field(number: int, *contents: bytes) -> bytes:
    """A field that holds a message, a string or bytes: `contents`, joined."""
    content = b"".join(contents)
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def varint_field(number: int, value: int) -> bytes:
    """A field that holds an integer; a negative one is stored as 64 bits."""
    return varint(number << 3 | VARINT) + varint(value & (1 << 64) - 1)
