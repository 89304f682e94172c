"""Mutations of bytes and of JSON values."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 8, 64, 255, 256, 319, 320, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**31), -(2**63)),
    *(0.0, -0.0, 0.5, 1e-6, 1.5, -2.5, 1e30, 1e308, math.nan, math.inf, -math.inf),
    10**400,
)
TEXTS = (
    *("", "a", "24", "-1", "1e5", "null", "default", "<eos>", "model", "\n", "\x00", "é", "\u2028"),
    *("\x1b[31mred\x1b[0m", "\x9b2J", "\u202eabc", "\ud800", "x" * 70_000, "../../../etc/passwd"),
    *("/dev/zero", "a/b", ".", "{{ messages }}", "%s%n", "[", "(a+)+$"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, *NUMBERS, *TEXTS),
    *([], {}, [None], [[]], [1, 2, 3], ["a"], [{}], {"": {}}, {"a": 1}, {"a": {"b": [1]}}),
)
# Texts that json.dumps cannot write, put in afterwards.
_DEEP = ("@deep-list@", "@deep-object@", "@digits@")
_RAW = {
    '"@deep-list@"': "[" * 100_000 + "]" * 100_000,
    '"@deep-object@"': '{"a":' * 50_000 + "1" + "}" * 50_000,
    '"@digits@"': "9" * 6000,
}


def mutate_bytes(rng: random.Random, data: bytes, *, near: int | None = None) -> bytes:
    """The bytes with 1 to 4 changes, mostly among the first `near`."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        size = len(changed)
        if not size:
            return bytes(changed) + rng.randbytes(rng.randint(0, 64))
        at = rng.randrange(min(size, near) if near and rng.random() < 0.9 else size)
        length = rng.choice((1, 2, 4, 8, 16, rng.randint(1, 300)))
        kind = rng.randrange(9)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind in (2, 3):
            width = rng.choice((4, 8))
            number = int(rng.choice(NUMBERS[:23])) % (1 << 8 * width)
            if rng.random() < 0.3:
                old = int.from_bytes(changed[at : at + width], "little")
                number = (old + rng.choice((-1, 1, 8, -8))) % (1 << 8 * width)
            changed[at : at + width] = number.to_bytes(width, "little")
        elif kind == 4:
            del changed[at : at + length]
        elif kind == 5:
            changed[at:at] = changed[at : at + length]
        elif kind == 6:
            changed[at:at] = rng.randbytes(length)
        elif kind == 7:
            other = rng.randrange(size)
            changed[at : at + length] = changed[other : other + length]
        elif rng.random() < 0.5:
            del changed[at:]
        else:
            changed[at : at + length] = bytes(len(changed[at : at + length]))
    return bytes(changed)


def mutate_json(rng: random.Random, value: Any, keys: Sequence[str] = ()) -> Any:
    """A copy of `value` with 1 to 3 nodes changed; `keys` are names worth adding to objects."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _mutate_node(rng, value, keys)
    return value


def _mutate_node(rng: random.Random, root: Any, keys: Sequence[str]) -> Any:
    parent, key = _random_place(rng, root)
    if parent is None:
        return _value(rng) if rng.random() < 0.02 else root
    old = parent[key]
    kind = rng.randrange(12)
    if kind < 4:
        parent[key] = _value(rng)
    elif kind == 4:
        del parent[key]
    elif kind == 5:
        parent[key] = _near(rng, old)
    elif kind == 6:
        parent[key] = rng.choice(([old], {"a": old}, json.dumps(old), [old, old], str(old)))
    elif kind == 7:
        parent[key] = rng.choice(_DEEP)
    elif kind == 8 and isinstance(parent, dict):
        parent[rng.choice((*keys, *TEXTS) if keys else TEXTS)] = parent.pop(key)
    elif kind == 9 and isinstance(parent, dict) and keys:
        parent[rng.choice(keys)] = _value(rng)
    elif kind == 10:
        other, at = _random_place(rng, root)
        parent[key] = json.loads(json.dumps(other[at])) if other is not None else old
    else:
        parent[key] = _value(rng) if not isinstance(old, (list, dict)) else type(old)()
    return root


def _value(rng: random.Random) -> Any:
    """One of VALUES; a copy, which a later mutation may change."""
    return deepcopy(rng.choice(VALUES))


def _near(rng: random.Random, old: Any) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, int) and abs(old) < 2**64:  # larger ones are no floats
        return rng.choice((old + 1, old - 1, -old, old * 2, old // 2, float(old), str(old)))
    if isinstance(old, float):
        return rng.choice((-old, old * 2, old / 2, str(old)))
    if isinstance(old, str):
        return rng.choice((old.upper(), old + "x", old[:-1], old[::-1], f"{old}\x1b[2J"))
    if isinstance(old, list):
        return rng.choice((old[1:], old + old[:1], old[::-1], [*old, _value(rng)]))
    return old


def _random_place(rng: random.Random, root: Any) -> tuple[Any, Any]:
    """A container and a key or index in it, by a random walk down from `root`."""
    node, place = root, (None, None)
    while isinstance(node, (dict, list)) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        place, node = (node, key), node[key]
        if rng.random() < 0.35:
            break
    return place


def json_bytes(rng: random.Random, value: Any) -> bytes:
    """`value` as JSON; now and then with a repeated key, a byte order mark or damaged bytes."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.7)
    for placeholder, raw in _RAW.items():
        text = text.replace(placeholder, raw)
    chance = rng.random()
    if chance < 0.03 and isinstance(value, dict) and value:
        text = "{" + f"{json.dumps(rng.choice(list(value)))}: null, " + text[1:]
    data = text.encode("utf-8", "surrogatepass")
    if 0.03 <= chance < 0.06:
        return b"\xef\xbb\xbf" + data
    if 0.06 <= chance < 0.12:
        return mutate_bytes(rng, data)
    return data


def mutate_text(rng: random.Random, text: str, pieces: Sequence[str]) -> str:
    """The text with 1 to 4 stretches removed, repeated, swapped, or `pieces` put in."""
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        at, length = rng.randint(0, len(text)), rng.choice((1, 2, 5, 20, 100))
        text = rng.choice(
            (
                text[:at] + text[at + length :],
                text[:at] + text[at : at + length] + text[at:],
                text[:at] + rng.choice(pieces) + text[at:],
                text[:at] + rng.choice(pieces) + text[at + length :],
                text[:at] + rng.choice(TEXTS) + text[at:],
                text[:at],
            )
        )
    return text
