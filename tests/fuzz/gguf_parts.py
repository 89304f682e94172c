"""A GGUF file taken apart and put together, so that single fields can be mutated.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Any

from fuzz.mutate import NUMBERS, TEXTS

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9


@dataclass
class Parts:
    """The header's fields, to be changed in place.

    Attributes:
        pairs: [key, type, value]; the value of an array is [element type, count, bytes].
        tensors: [name, dimensions, type, offset].
        counts: (tensors, pairs) that the header claims.
        data: everything behind the header.
    """

    version: int
    counts: list[int]
    pairs: list[list[Any]]
    tensors: list[list[Any]]
    data: bytes


def take_apart(file: bytes) -> Parts:
    """The parts of a valid file."""
    at = 4

    def take(code: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from(f"<{code}", file, at)
        at += struct.calcsize(f"<{code}")
        return value

    def string() -> bytes:
        nonlocal at
        size = take("Q")
        at += size
        return file[at - size : at]

    version, tensor_count, pair_count = take("I"), take("Q"), take("Q")
    pairs: list[list[Any]] = []
    for _ in range(pair_count):
        key, kind = string(), take("I")
        if kind == _STRING:
            value: Any = string()
        elif kind == _ARRAY:
            element, count, start = take("I"), take("Q"), at
            for _ in range(count):
                string() if element == _STRING else take(_SCALARS[element])
            value = [element, count, file[start:at]]
        else:
            value = take(_SCALARS[kind])
        pairs.append([key, kind, value])
    tensors = [
        [string(), [take("Q") for _ in range(take("I"))], take("I"), take("Q")]
        for _ in range(tensor_count)
    ]
    return Parts(version, [tensor_count, pair_count], pairs, tensors, file[at + -at % 32 :])


def put_together(parts: Parts) -> bytes:
    """The file; numbers are cut to the width of their type."""
    out = [b"GGUF", _pack("I", parts.version), *(_pack("Q", count) for count in parts.counts)]

    def string(text: bytes) -> None:
        out.extend((_pack("Q", len(text)), text))

    for key, kind, value in parts.pairs:
        string(key)
        out.append(_pack("I", kind))
        if isinstance(value, bytes):
            string(value)
        elif isinstance(value, list):
            out.extend((_pack("I", value[0]), _pack("Q", value[1]), value[2]))
        else:
            out.append(_pack(_SCALARS.get(kind, "I"), value))
    for name, dimensions, kind, offset in parts.tensors:
        string(name)
        out.append(_pack("I", len(dimensions)))
        out.extend(_pack("Q", size) for size in dimensions)
        out.extend((_pack("I", kind), _pack("Q", offset)))
    size = sum(map(len, out))
    return b"".join(out) + bytes(-size % 32) + parts.data


def _pack(code: str, value: Any) -> bytes:
    if code in "fd":
        try:
            return struct.pack(f"<{code}", float(value))
        except OverflowError:
            return struct.pack(f"<{code}", float("inf"))
    if code == "?":
        return struct.pack("<?", bool(value))
    width = struct.calcsize(f"<{code}")
    number = int(value) if value == value and abs(value) < 2**64 else 0
    return (number % (1 << 8 * width)).to_bytes(width, "little")


def mutate_parts(rng: random.Random, parts: Parts) -> None:
    """Change one to three fields."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.randrange(14)
        pair = rng.choice(parts.pairs) if parts.pairs else [b"", 4, 0]
        tensor = rng.choice(parts.tensors) if parts.tensors else [b"", [], 0, 0]
        if kind < 4:
            pair[1:] = _mutated_value(rng, pair[1], pair[2])
        elif kind == 4:
            pair[1] = rng.randrange(14)
        elif kind == 5:
            pair[0] = rng.choice((rng.choice(TEXTS).encode("utf-8", "surrogatepass"), pair[0][:-1]))
        elif kind == 6 and parts.pairs:
            parts.pairs.remove(pair)
            parts.counts[1] -= rng.random() < 0.9
        elif kind == 7:
            parts.pairs.append(list(pair))
            parts.counts[1] += rng.random() < 0.9
        elif kind == 8:
            at = rng.randrange(len(tensor[1]) + 1)
            tensor[1][at : at + rng.randrange(2)] = [rng.choice(NUMBERS[:23])]
        elif kind == 9:
            tensor[2] = rng.choice((*range(40), 2**31))
        elif kind == 10:
            tensor[3] = rng.choice((*NUMBERS[:23], tensor[3] + 32, tensor[3] - 32))
        elif kind == 11:
            other = rng.choice(parts.tensors) if parts.tensors else tensor
            tensor[0] = rng.choice((other[0], rng.choice(TEXTS).encode("utf-8", "surrogatepass")))
        elif kind == 12 and parts.tensors:
            parts.tensors.remove(tensor)
            parts.counts[0] -= rng.random() < 0.9
        elif rng.random() < 0.3:
            parts.counts[rng.randrange(2)] = rng.choice(NUMBERS[:23])
        else:
            parts.data = parts.data[: rng.randrange(len(parts.data) + 1)]


def _mutated_value(rng: random.Random, kind: int, value: Any) -> list[Any]:
    if rng.random() < 0.2:
        kind = rng.choice([*_SCALARS])
        return [kind, rng.choice(NUMBERS)]
    if isinstance(value, bytes):
        return [kind, rng.choice(TEXTS).encode("utf-8", "surrogatepass")]
    if not isinstance(value, list):
        return [kind, rng.choice((*NUMBERS, value + 1, value - 1, -value, value * 2))]
    element, count, data = value
    change = rng.randrange(4)
    if change == 0:
        return [kind, [element, rng.choice((*NUMBERS[:23], count - 1, count + 1)), data]]
    if change == 1:
        return [kind, [rng.randrange(14), count, data]]
    if change == 2:
        return [kind, [_ARRAY, 1, struct.pack("<IQ", _ARRAY, 1) * rng.choice((1, 100, 20_000))]]
    cut = bytearray(data)
    for _ in range(3):
        if cut:
            cut[rng.randrange(len(cut))] = rng.randrange(256)
    return [kind, [element, count, bytes(cut)]]
