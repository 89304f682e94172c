"""The architecture in the first bytes of a GGUF file.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import struct

HEAD_BYTES = 64 << 10  # `general.architecture` stands first; the vocabulary comes later

_KEY = "general.architecture"
_STRING = 8
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def architecture(head: bytes) -> str | None:
    """`general.architecture`, or None where these bytes do not hold it."""
    if head[:4] != b"GGUF":
        return None
    at = 24  # magic, version, number of tensors, number of keys
    try:
        while True:
            key, at = _string(head, at)
            (kind,) = struct.unpack_from("<I", head, at)
            at += 4
            if kind == _STRING:
                value, at = _string(head, at)
                if key == _KEY:
                    return value
            else:
                at += _SCALAR_BYTES[kind]
    except (struct.error, KeyError, UnicodeDecodeError, IndexError):  # an array, or the end
        return None


def _string(head: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", head, at)
    start, end = at + 8, at + 8 + length
    if end > len(head):
        raise IndexError(end)
    return head[start:end].decode(), end
