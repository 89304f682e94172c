"""A tokenizer.json as bytes, so that it need not be in memory as Python objects.

Gemma 3's has 33 MB, nearly all of it the vocabulary and half a million merges: parsed at once it
takes 300 MB. Here the merges are parsed in blocks. The expected layout is that of the `tokenizers`
library: the model is last, and in it the vocabulary and then the merges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

# A quote inside of a JSON text is escaped, so that these find keys.
_VOCABULARY = re.compile(rb'"vocab"\s*:\s*(?=\{)')
_MERGES = re.compile(rb'(?<=\})\s*,\s*"merges"\s*:\s*(?=\[)')
_END = re.compile(rb"(?<=\])\s*\}\s*\}\s*\Z")
_NORMALIZER = re.compile(rb'"normalizer"\s*:\s*(?=\{)')
# Between two merges, pairs or strings. Not after a backslash: that may be an escaped quote.
_AFTER_PAIR = re.compile(rb'(?<!\\)"\s*\]\s*(,)\s*\[')
_AFTER_TEXT = re.compile(rb'(?<!\\)"\s*(,)\s*"')
_LINE_BREAK = re.compile(rb"\n\s*")
_BLOCK = 1 << 20
_TRIES = 4


@dataclass(frozen=True)
class TokenizerFile:
    """The bytes of a tokenizer.json.

    Its methods raise ValueError or TypeError if the bytes are not such a file.
    """

    data: bytes

    @cached_property
    def outline(self) -> dict[str, Any]:
        """The parsed content, with an empty vocabulary and no merges in it."""
        data = self.data
        if self._places is not None:
            vocabulary, after_vocabulary, merges, after_merges = self._places
            parts = data[:vocabulary], data[after_vocabulary:merges], data[after_merges:]
            data = b"%b{}%b[]%b" % parts
        parsed = json.loads(data)
        if not isinstance(parsed, dict) or not isinstance(parsed.get("model"), dict):
            raise ValueError("it has no model")
        return parsed

    @property
    def has_usual_layout(self) -> bool:
        """Whether vocabulary and merges are where the `tokenizers` library puts them."""
        return self._places is not None

    def vocabulary(self) -> dict[str, int]:
        """Each token and its id; added tokens may be missing. Empty for an unusual layout."""
        if self._places is None:
            return {}
        begin, end = self._places[:2]
        parsed: dict[str, int] = json.loads(self.data[begin:end])
        return parsed

    def merges(self) -> Iterator[list[list[str]]]:
        """The pairs that merge, by rank, in blocks; none for an unusual layout."""
        if self._places is None:
            return
        begin, end = self._places[2] + 1, self._places[3] - 1
        pairs = self.data[begin : begin + 64].lstrip().startswith(b"[")
        between = _AFTER_PAIR if pairs else _AFTER_TEXT
        while begin < end:
            cuts = (cut.start(1) for cut in between.finditer(self.data, begin + _BLOCK, end))
            for stop in (*islice(cuts, _TRIES), end):
                try:
                    block = json.loads(b"[%b]" % self.data[begin:stop])
                    break
                except ValueError:
                    # A token such as `],[` looks like the end of a merge.
                    if stop == end:
                        raise
            yield [merge.split(" ") if isinstance(merge, str) else merge for merge in block]
            begin = stop + 1

    def compact(self) -> bytes:
        """The same tokenizer without line breaks, with merges as strings if no token has a space.

        The runtime parses merges that are pairs more slowly than strings.
        """
        if self._places is None:
            return _LINE_BREAK.sub(b"", self.data)
        begin, end = self._places[2:]
        blocks = []
        for block in self.merges():
            if any(len(pair) != 2 or " " in pair[0] or " " in pair[1] for pair in block):
                return _LINE_BREAK.sub(b"", self.data)
            texts = [f"{left} {right}" for left, right in block]
            blocks.append(json.dumps(texts, ensure_ascii=False, separators=(",", ":"))[1:-1])
        parts = (
            _LINE_BREAK.sub(b"", self.data[:begin]),
            ",".join(blocks).encode("utf-8", "surrogatepass"),
            _LINE_BREAK.sub(b"", self.data[end:]),
        )
        return b"%b[%b]%b" % parts

    def with_normalizer(self, change: Callable[[Any], Any]) -> TokenizerFile:
        """The same with another normalizer; `self` if `change` returns its argument."""
        stop = self._places[0] if self._places else len(self.data)
        key = _NORMALIZER.search(self.data, 0, stop)
        if key is None:
            return self
        head = self.data[key.end() : stop].decode("utf-8", "surrogatepass")
        old, length = json.JSONDecoder().raw_decode(head)
        new = change(old)
        if new is old:
            return self
        end = key.end() + len(head[:length].encode("utf-8", "surrogatepass"))
        text = json.dumps(new, separators=(",", ":")).encode()
        return TokenizerFile(self.data[: key.end()] + text + self.data[end:])

    @cached_property
    def _places(self) -> tuple[int, int, int, int] | None:
        """Begin and end of the vocabulary, `{...}`, and of the merges, `[...]`."""
        vocabulary = _VOCABULARY.search(self.data)
        merges = vocabulary and _MERGES.search(self.data, vocabulary.end())
        end = merges and _END.search(self.data, max(merges.end(), len(self.data) - 256))
        if vocabulary and merges and end:
            return vocabulary.end(), merges.start(), merges.end(), end.start()
        return None
