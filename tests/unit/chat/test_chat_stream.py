"""The cutters of decoded text, however it is cut into chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litertlm.services.chat.stream import Piece, Splitter, StopFinder

MARKERS = {"thinking": ("<think>", "</think>"), "tool": ("<tool_call>", "</tool_call>")}


def pieces(text: str, cuts: Iterable[int], inside: str = "text") -> list[tuple[str, str]]:
    """(kind, text) of the parts, joined where they belong together."""
    splitter = Splitter(MARKERS, inside=inside)
    joined: list[tuple[str, str]] = []
    for piece in [
        *(p for part in chunks(text, cuts) for p in splitter.feed(part)),
        *splitter.finish(),
    ]:
        assert piece.text
        if joined and joined[-1][0] == piece.kind:
            joined[-1] = (piece.kind, joined[-1][1] + piece.text)
        else:
            joined.append((piece.kind, piece.text))
    return joined


def chunks(text: str, cuts: Iterable[int]) -> Iterator[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    for begin, end in pairwise(places):
        yield text[begin:end]


cuts = st.lists(st.integers(0, 200))


@given(cuts)
def test_thinking_is_set_apart(cuts: list[int]) -> None:
    text = "<think>\nLet me see: 1 < 2.\n</think>\n\nIt is 2 </thing>."
    assert pieces(text, cuts) == [
        ("thinking", "Let me see: 1 < 2.\n"),
        ("text", "It is 2 </thing>."),
    ]


@given(cuts)
def test_calls_are_set_apart(cuts: list[int]) -> None:
    text = 'Wait.\n<tool_call>{"name": "f"}</tool_call>'
    assert pieces(text, cuts) == [("text", "Wait.\n"), ("tool", '{"name": "f"}')]


@given(cuts)
def test_thinking_that_never_ends(cuts: list[int]) -> None:
    assert pieces("hm <", cuts, inside="thinking") == [("thinking", "hm <")]


@given(st.text(alphabet="<>/thinkol_ca "), cuts)
def test_what_is_no_marker_is_text(text: str, cuts: list[int]) -> None:
    text = text.replace("k>", "k").replace("l>", "l")
    assert "".join(part for _, part in pieces(text, cuts)) == text.lstrip()


@given(cuts)
def test_a_stop_string_ends_the_text(cuts: list[int]) -> None:
    finder = StopFinder(("\nUser:", "STOP"))
    shown = "".join(finder.feed(part) for part in chunks("a\nUs b\nUser: c STOP", cuts))
    assert shown + finder.finish() == "a\nUs b"
    assert finder.stopped


def test_what_cannot_become_a_stop_string_is_shown_at_once() -> None:
    finder = StopFinder(("END",))
    assert finder.feed("abc E") == "abc "
    assert finder.feed("x") == "Ex"


@pytest.mark.parametrize("stops", [(), ("",)])
def test_without_stop_strings_nothing_is_held_back(stops: tuple[str, ...]) -> None:
    assert StopFinder(stops).feed("any text") == "any text"


def test_plain_text_is_shown_at_once() -> None:
    assert Splitter(MARKERS).feed("Hello") == [Piece("text", "Hello")]
