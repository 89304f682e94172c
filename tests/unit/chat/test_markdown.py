"""Streamed Markdown, as a terminal shows it."""

from __future__ import annotations

import os
from itertools import pairwise

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litertlm.cli.markdown import MarkdownStream, Size

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
See [the *docs*](https://example.org/a_(b)) or [1, 2].

| Name | Made of |
|:-----|--------:|
| Bread | flour, water, **salt** and yeast |
| 茶 | leaves \\| water |
End."""


def terminal(width: int, lines: int = 60) -> Size:
    """The size of a terminal whose text is `width` columns wide."""
    return lambda: os.terminal_size((width + 1, lines))


def screen_of(sent: str, columns: int = 80) -> pyte.Screen:
    screen = pyte.Screen(columns, 60)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    return screen


def shown(text: str, cuts: list[int] | None = None, width: int = 40) -> pyte.Screen:
    stream = MarkdownStream(terminal(width))
    places = sorted({cut % (len(text) + 1) for cut in cuts or []} | {0, len(text)})
    parts = [text[a:b] for a, b in pairwise(places)]
    return screen_of("".join(stream.feed(part) for part in parts) + stream.finish())


def lines(screen: pyte.Screen) -> list[str]:
    return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")


def grid(screen: pyte.Screen) -> list[list[object]]:
    """Every character with its style."""
    return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]


def test_rendered_markdown() -> None:
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
        "See the docs (https://example.org/a_(b))",
        "or [1, 2].",
        "",
        "Name  │                      Made of",
        "──────┼─────────────────────────────",
        "Bread │ flour, water, salt and yeast",
        "茶    │               leaves | water",
        "End.",
    ]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 800)))
def test_chunk_boundaries_do_not_change_the_result(cuts: list[int]) -> None:
    assert grid(shown(TEXT, cuts)) == grid(shown(TEXT))


@settings(max_examples=60)
@given(st.text(alphabet="ab *_`#->1.\n|~\\é漢"), st.lists(st.integers(0, 100)), st.integers(5, 30))
def test_any_text_is_shown_completely_and_resets_the_style(
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
def test_text_is_printed_at_once(text: str) -> None:
    assert text in MarkdownStream(terminal(80)).feed(text)


def test_a_word_moves_to_the_next_line_when_it_does_not_fit() -> None:
    stream = MarkdownStream(terminal(10))
    sent = [stream.feed(part) for part in ("12345 ", "abc", "def", "!")]
    assert sent[1] == "abc"
    assert lines(screen_of("".join(sent))) == ["12345", "abcdef!"]


def test_the_width_follows_the_terminal() -> None:
    width = [20]
    stream = MarkdownStream(lambda: os.terminal_size((width[0] + 1, 60)))
    first = stream.feed("one two three four five\n")
    width[0] = 10
    second = stream.feed("one two three\n")
    assert lines(screen_of(first + second)) == ["one two three four", "five", "one two", "three"]


def test_the_number_of_a_list_item_is_printed_at_once() -> None:
    assert MarkdownStream(terminal(80)).feed("1") == "1"
    assert lines(shown("1. one two three\n10) four five", width=10)) == [
        "1. one two",
        "   three",
        "10) four",
        "    five",
    ]


TABLE = """\
| Planet | Moons |
| --- | ---: |
| Mars | 2 |
"""


def test_a_row_is_drawn_when_it_is_complete() -> None:
    stream = MarkdownStream(terminal(40))
    assert stream.feed("| Planet | Moons |\n") == ""
    assert "Planet" in stream.feed("| --- | ---: |\n")
    assert stream.feed("| Mars | 2 ") == ""
    assert stream.feed("|\n") == "Mars   │     2\n"


def test_a_wider_row_redraws_the_table_and_nothing_above_it() -> None:
    stream = MarkdownStream(terminal(40))
    sent = [stream.feed(part) for part in ("Above.\n", TABLE, "| A long name | 10 |\n", "Below.")]
    assert "Above" not in "".join(sent[1:])
    assert lines(screen_of("".join(sent))) == [
        "Above.",
        "Planet      │ Moons",
        "────────────┼──────",
        "Mars        │     2",
        "A long name │    10",
        "Below.",
    ]


def test_a_table_that_was_scrolled_off_keeps_its_columns() -> None:
    stream = MarkdownStream(terminal(40, lines=6))
    text = TABLE + "| Venus | 0 |\n" * 6 + "| A long name | 10 |\n| Io | 0 |\n"
    screen = pyte.HistoryScreen(41, 6, history=100)
    pyte.Stream(screen).feed(stream.feed(text).replace("\n", "\r\n"))
    assert lines(screen)[-3:] == ["A long │    10", "name   │", "Io     │     0"]
    assert len(screen.history.top) == 12 + 1 - 6


def test_a_table_is_not_redrawn_after_a_resize() -> None:
    columns = [60]
    stream = MarkdownStream(lambda: os.terminal_size((columns[0], 40)))
    stream.feed(TABLE)
    columns[0] = 50
    assert "\x1b[J" not in stream.feed("| A long name | 10 |\n")


def test_a_table_wraps_its_cells_on_a_narrow_terminal() -> None:
    text = "| Food | Made of |\n|---|---|\n| Bread | flour, water, salt<br>and **yeast** |\n"
    assert lines(shown(text, width=22)) == [
        "Food  │ Made of",
        "──────┼───────────────",
        "Bread │ flour, water,",
        "      │ salt",
        "      │ and yeast",
    ]
    assert lines(shown(text, width=9))[0] == "| Food |"


def test_wide_characters_and_emoji_keep_columns_aligned() -> None:
    shown_lines = lines(shown("| a | b |\n|---|---|\n| 日本 | x |\n| 👍🏽 | y |\n"))
    assert shown_lines[2].replace(" ", "") == "日本│x"
    # On pyte's screen a wide character takes two places, of which the second is empty.
    assert shown("| a | b |\n|---|---|\n| 日本 | x |\n").buffer[2][5].data == "│"


@pytest.mark.parametrize("width", [29, 43, 79, 199])
@pytest.mark.parametrize("cell", ["some longer words", "日本語のテキスト", "verylongword" * 6])
def test_table_columns_line_up_at_any_width(width: int, cell: str) -> None:
    rows = "".join(f"| {n} | {cell} {'x' * n} | {n * n} |\n" for n in range(6))
    stream = MarkdownStream(terminal(width, lines=200))
    screen = pyte.Screen(width + 1, 200)
    sent = stream.feed("| n | text | square |\n|---|:-:|--:|\n" + rows)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    bars = {
        tuple(x for x in range(width) if screen.buffer[y][x].data == "│")
        for y, line in enumerate(screen.display)
        if "│" in line
    }
    assert len(bars) == 1
    assert len(bars.pop()) == 2
    assert "…" not in sent


@pytest.mark.parametrize("text", ["| not a table\n", "|a|b|\ntext\n", "||\n", "|a|\n"])
def test_lines_with_bars_that_are_not_a_table(text: str) -> None:
    assert lines(shown(text)) == text.rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("[a](http://x.org)", "a (http://x.org)"),
        ("[http://x.org](http://x.org)", "http://x.org"),
        ("[](http://x.org)", "http://x.org"),
        ('[a](http://x.org "A title")', "a (http://x.org)"),
        ("[a] (b)", "[a] (b)"),
        ("- [ ] to do", "• [ ] to do"),
        ("f[0](x) = y", "f0 (x) = y"),
        ("`[a](b)`", "[a](b)"),
        ("[never closed", "[never closed"),
        ("[a](never closed", "[a](never closed"),
    ],
)
def test_links(text: str, drawn: str) -> None:
    assert lines(shown(text, width=60)) == [drawn]


CODE = '''```python
def f(x):
    """Says
    return 1"""
    return "a"  # why
```
'''


def test_code_has_colours() -> None:
    screen = shown(CODE, list(range(len(CODE))), width=60)
    assert screen.buffer[1][0].fg == "magenta"
    assert screen.buffer[3][4].fg == "green", "it is inside a string of two lines"
    assert screen.buffer[4][4].fg == "magenta"
    assert screen.buffer[4][11].fg == "green"
    assert lines(screen) == CODE.rstrip().split("\n")


def test_a_line_of_code_wider_than_the_terminal_is_drawn_once() -> None:
    text = "```python\n" + "x = 1 + " * 10 + "1\n"
    stream = MarkdownStream(terminal(30))
    sent = "".join(stream.feed(char) for char in text)
    assert "\r" not in sent


@pytest.mark.parametrize("label", ["", "no-such-language", "text"])
def test_code_of_an_unknown_language_is_not_highlighted(label: str) -> None:
    assert lines(shown(f"```{label}\nif x:\n\ty\n```")) == [f"```{label}", "if x:", "    y", "```"]


def test_a_fence_in_a_list_keeps_its_indentation() -> None:
    assert lines(shown("- a\n  ```\n  code\n  ```\n")) == ["• a", "  ```", "  code", "  ```"]


def test_without_colours() -> None:
    stream = MarkdownStream(terminal(60), colours=False)
    screen = screen_of(stream.feed("# Head\n`code`\n" + CODE) + stream.finish())
    drawn = [char for row in range(12) for char in screen.buffer[row].values()]
    assert {char.fg for char in drawn} == {"default"}
    assert screen.buffer[0][0].bold
    assert screen.buffer[1][0].bold


def test_a_model_cannot_control_the_terminal() -> None:
    sent = MarkdownStream(terminal(60)).feed("a\x1b]52;c;aGk=\x07b\x9b2Jc\r\bd")
    assert sent == "a]52;c;aGk=b2Jcd"
