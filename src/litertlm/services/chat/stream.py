"""Cut a stream of decoded text into what is answer, what is thinking, and where it stops.

Both buffer only text that may be the beginning of a marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

THINKING_MARKERS = ("<think>", "</think>")


@dataclass(frozen=True)
class Piece:
    """Some text of an answer as it comes.

    Attributes:
        kind: `text`, or what stands between markers: `thinking` or `tool` (a call).
        text: never empty.
    """

    kind: str
    text: str


class StopFinder:
    """Ends a stream before the first of some strings."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._buffered = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Take the next text; return what can be shown. Nothing after a stop string is."""
        if self.stopped:
            return ""
        text = self._buffered + text
        places = [place for place in map(text.find, self._stops) if place >= 0]
        if places:
            self.stopped, self._buffered = True, ""
            return text[: min(places)]
        keep = _longest_tail(text, self._stops)
        self._buffered = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was buffered and turned out not to be a stop string."""
        buffered, self._buffered = self._buffered, ""
        return buffered


class Splitter:
    """Separates what stands between pairs of markers from the text around it.

    White space that only sets the parts apart (after a marker) is dropped.

    Args:
        markers: kind of piece to its two markers, such as `<think>` and `</think>`.
        inside: the kind that the end of the prompt has opened already, or `text`.
    """

    def __init__(self, markers: Mapping[str, tuple[str, str]], *, inside: str = "text") -> None:
        self._markers = markers
        self._kind = inside
        self._at_start = True
        self._buffered = ""

    def feed(self, text: str) -> list[Piece]:
        """Take the next text; return the pieces that are certain."""
        text = self._buffered + text
        pieces: list[Piece] = []
        while True:
            expected = self._expected()
            found = [(text.find(marker), marker) for marker in expected if marker in text]
            if not found:
                keep = _longest_tail(text, tuple(expected))
                self._buffered = text[len(text) - keep :]
                self._add(pieces, text[: len(text) - keep])
                return pieces
            place, marker = min(found)
            self._add(pieces, text[:place])
            text = text[place + len(marker) :]
            self._kind, self._at_start = expected[marker], True

    def finish(self) -> list[Piece]:
        """What was buffered and turned out not to be a marker."""
        buffered, self._buffered = self._buffered, ""
        pieces: list[Piece] = []
        self._add(pieces, buffered)
        return pieces

    def _expected(self) -> dict[str, str]:
        """Markers that may come now, and the kind that follows each."""
        if self._kind == "text":
            return {start: kind for kind, (start, _) in self._markers.items()}
        return {self._markers[self._kind][1]: "text"}

    def _add(self, pieces: list[Piece], text: str) -> None:
        if self._at_start:
            text = text.lstrip()
        if text:
            self._at_start = False
            pieces.append(Piece(self._kind, text))


def _longest_tail(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` that begins one of `markers`."""
    longest = max((len(marker) for marker in markers), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        tail = text[-length:]
        if any(marker.startswith(tail) for marker in markers):
            return length
    return 0
