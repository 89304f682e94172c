"""Markdown on a terminal, as a terminal shows it."""

from __future__ import annotations

from itertools import pairwise

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litertlm.cli.markdown import MarkdownStream

TEXT = """# A title

Some **bold text** and *slanted* and `code_x * y`, snake_case, 2 * 3 = 6. A line that must wrap.

- first item that is long enough to be wrapped over lines
- second
  1. nested

```python
def f(x):
    return x * 2  # a comment that is much longer than the width of the text
```
> quoted
---
End."""


def screen_of(sent: str, columns: int = 80) -> pyte.Screen:
    screen = pyte.Screen(columns, 60)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    return screen


def shown(text: str, cuts: list[int] | None = None, width: int = 40) -> pyte.Screen:
    stream = MarkdownStream(lambda: width)
    places = sorted({cut % (len(text) + 1) for cut in cuts or []} | {0, len(text)})
    parts = [text[a:b] for a, b in pairwise(places)]
    return screen_of("".join(stream.feed(part) for part in parts) + stream.finish())


def lines(screen: pyte.Screen) -> list[str]:
    return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def test_what_a_reader_sees() -> None:
    assert lines(shown(TEXT)) == [
        "A title",
        "",
        "Some bold text and slanted and code_x *",
        "y, snake_case, 2 * 3 = 6. A line that",
        "must wrap.",
        "",
        "• first item that is long enough to be",
        "  wrapped over lines",
        "• second",
        "  1. nested",
        "",
        "```python",
        "def f(x):",
        "    return x * 2  # a comment that is much longer than the width of the text",
        "```",
        "│ quoted",
        "─" * 40,
        "End.",
    ]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 500)))
def test_the_chunks_do_not_matter(cuts: list[int]) -> None:
    assert shown(TEXT, cuts).display == shown(TEXT).display


@settings(max_examples=60)
@given(st.text(alphabet="ab *_`#->1.\n|~\\é漢"), st.lists(st.integers(0, 100)), st.integers(5, 30))
def test_any_text_is_shown_whole_and_leaves_a_plain_style(
    text: str, cuts: list[int], width: int
) -> None:
    screen = shown(text, cuts, width)
    whole = "".join(screen.display)
    for char in "ab1é漢":
        assert whole.count(char) == text.count(char)
    assert not screen.cursor.attrs.bold
    assert not screen.cursor.attrs.italics
    assert screen.cursor.attrs.fg == "default"


def test_styles() -> None:
    screen = shown("# Head\n**b** *i* p")
    assert screen.buffer[0][0].bold
    assert screen.buffer[1][0].bold
    assert screen.buffer[1][2].italics
    assert not screen.buffer[1][4].bold


@pytest.mark.parametrize("text", ["Paris", "The ", "é"])
def test_text_is_not_held_back(text: str) -> None:
    assert text in MarkdownStream(lambda: 80).feed(text)


def test_a_word_moves_to_the_next_line_when_it_does_not_fit() -> None:
    stream = MarkdownStream(lambda: 10)
    sent = [stream.feed(part) for part in ("12345 ", "abc", "def", "!")]
    assert sent[1] == "abc"
    assert lines(screen_of("".join(sent))) == ["12345", "abcdef!"]


def test_the_width_follows_the_terminal() -> None:
    width = [20]
    stream = MarkdownStream(lambda: width[0])
    first = stream.feed("one two three four five\n")
    width[0] = 10
    second = stream.feed("one two three\n")
    assert lines(screen_of(first + second)) == ["one two three four", "five", "one two", "three"]
