"""A tokenizer.json as bytes, for what would take too much as Python objects.

Gemma 3's has 33 MB, nearly all of it the vocabulary and half a million merges: a second and
300 MB for Python's json. Here both are walked through where they lie. The layout is the one that
the `tokenizers` library writes: the model comes last, and in it the vocabulary and then the
merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_STRING = rb'"((?:[^"\\]|\\.)*)"'
_ENTRY = re.compile(rb"\s*" + _STRING + rb"\s*:\s*(\d+)\s*,?\s*")
_PAIR = re.compile(rb"\s*\[\s*" + _STRING + rb"\s*,\s*" + _STRING + rb"\s*\]\s*,?\s*")
_JOINED = re.compile(rb'\s*"((?:[^"\\ ]|\\.)*) ((?:[^"\\ ]|\\.)*)"\s*,?\s*')
_LINE_BREAK = re.compile(rb"\n\s*")
# A quote inside of a JSON text is escaped, so that these find keys.
_VOCABULARY = re.compile(rb'"vocab"\s*:\s*\{')
_MERGES = re.compile(rb'\}\s*,\s*"merges"\s*:\s*\[')
_END = re.compile(rb"\]\s*\}\s*\}\s*\Z")


@dataclass(frozen=True)
class TokenizerFile:
    """The bytes of a tokenizer.json.

    Its methods raise ValueError where the bytes are not such a file.
    """

    data: bytes

    @cached_property
    def outline(self) -> dict[str, Any]:
        """The parsed content, with an empty vocabulary and no merges in it."""
        data = self.data
        if self._places is not None:
            vocabulary, after_vocabulary, merges, after_merges = self._places
            parts = data[:vocabulary], data[after_vocabulary:merges], data[after_merges:]
            data = b"".join(parts)
        parsed = json.loads(data)
        if not isinstance(parsed, dict) or not isinstance(parsed.get("model"), dict):
            raise ValueError("there is no model in it")
        return parsed

    @property
    def is_walkable(self) -> bool:
        """Whether vocabulary and merges lie where they are looked for."""
        return self._places is not None

    def vocabulary(self) -> dict[bytes, int]:
        """UTF-8 of each token, and its id; added tokens may be missing."""
        if self._places is None:
            return {}
        matches = self._walk(_ENTRY, *self._places[:2])
        return {_unescaped(match[1]): int(match[2]) for match in matches}

    def merges(self) -> Iterator[tuple[bytes, bytes]]:
        """The pairs that merge, first ones first, as UTF-8."""
        if self._places is not None:
            begin, end = self._places[2:]
            pattern = _PAIR if _PAIR.match(self.data, begin) else _JOINED
            for match in self._walk(pattern, begin, end):
                yield _unescaped(match[1]), _unescaped(match[2])

    def compact(self) -> bytes:
        """The same tokenizer without line breaks, merges as texts where no token has a space.

        The runtime reads merges that are pairs more slowly than those that are texts.
        """
        if self._places is None:
            return _LINE_BREAK.sub(b"", self.data)
        begin, end = self._places[2:]
        pattern = _PAIR if _PAIR.match(self.data, begin) else _JOINED
        pairs = [match.groups() for match in self._walk(pattern, begin, end)]
        merges = self.data[begin:end]
        if not any(b" " in left or b" " in right for left, right in pairs):
            merges = b",".join([b'"%b %b"' % pair for pair in pairs])
        parts = (self.data[:begin], merges, self.data[end:])
        return b"".join(_LINE_BREAK.sub(b"", part) for part in parts)

    @cached_property
    def _places(self) -> tuple[int, int, int, int] | None:
        """Begin and end of the vocabulary's entries, and of the merges."""
        vocabulary = _VOCABULARY.search(self.data)
        merges = vocabulary and _MERGES.search(self.data, vocabulary.end())
        end = merges and _END.search(self.data, max(merges.end(), len(self.data) - 256))
        if vocabulary and merges and end:
            return vocabulary.end(), merges.start(), merges.end(), end.start()
        return None

    def _walk(self, item: re.Pattern[bytes], position: int, end: int) -> Iterator[re.Match[bytes]]:
        for match in item.finditer(self.data, position, end):
            if match.start() != position:
                break
            position = match.end()
            yield match
        if self.data[position:end].strip():
            raise ValueError(f"it cannot be read at byte {position}")


def _unescaped(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    unescaped: str = json.loads(b'"%b"' % text)
    return unescaped.encode("utf-8", "surrogatepass")
