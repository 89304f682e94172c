"""Render streamed Markdown as terminal text.

Text is printed as it arrives. Only three things are drawn twice: a word that does not fit on its
line, which moves to the next; a line of code, which is highlighted when it is complete; and a table
whose columns must become wider (table.py). Only incomplete markers (`**`, `###`, a link) and
incomplete table rows are buffered. Supported: headings, emphasis, code, fences, lists, quotes,
rules, tables, links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from litertlm.cli.markdown.code import Colours
from litertlm.cli.markdown.styled import RESET, char_columns, columns, printable
from litertlm.cli.markdown.table import Table, cells_of, is_delimiter, may_be_delimiter

Size = Callable[[], os.terminal_size]

_MAX_COLUMNS = 100
_SGR = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "link": "4",
    "quote": "2",
    "heading": "1;36",
    "code": "36",
}
_WITHOUT_COLOURS = {**_SGR, "heading": "1", "code": "1"}
_BLOCK_MARKER = re.compile(r"(?P<heading>#{1,6}) |(?P<bullet>[-*+]) |(?P<quote>>) ?")
_MAYBE_BLOCK_MARKER = re.compile(r"#{1,6}|[-*+]|>|`{1,2}|~{1,2}")
# Printed at once: the number of a list item looks the same as any other number.
_NUMBER = re.compile(r"\d{1,3}[.)] ")
_MAYBE_NUMBER = re.compile(r"\d{1,3}[.)]?")
_FENCE = re.compile(r"(```+|~~~+)")
_RULE = re.compile(r"([-*_])(?:[ ]*\1){2,}[ ]*")
_MAYBE_RULE = re.compile(r"([-*_])(?:[ ]*\1)*[ ]*")
_ADDRESS = r"(?:[^\s()<>]|\([^\s()]*\))*"
_LINK = re.compile(
    rf"\[(?P<text>[^\[\]\n]{{0,200}})\]\(\s*<?(?P<address>{_ADDRESS})>?(?:\s+[\"'][^\n()]*[\"'])?\s*\)"
)
_MAYBE_LINK = re.compile(r"\[[^\[\]\n]{0,200}(?:\](?:\((?:[^()\n]|\([^()\n]*\)?){0,500})?)?")


class MarkdownStream:
    """Converts chunks of Markdown to chunks of terminal text.

    Args:
        size: returns the terminal's size; called again for each chunk.
        base: a style for all text, such as `dim`; empty for none.
        colours: whether to use colours; without them, bold and italic are still used.
    """

    def __init__(self, size: Size, *, base: str = "", colours: bool = True) -> None:
        self._size = size
        self._width = self._width_now()
        self._base = base
        self._colours = colours
        self._pending = ""
        self._styles: list[str] = []
        self._active_styles: list[str] = []
        self._line_start = True
        self._column = 0
        self._indent = ""
        self._word = ""
        self._word_columns = 0
        self._fence = ""
        self._fence_label = False
        self._code: Colours | None = None
        self._code_line = ""
        self._code_size = size()
        self._table: Table | None = None
        self._number_prefix: str | None = None
        self._before = ""

    def feed(self, text: str) -> str:
        """Take the next chunk of Markdown; return the text to print now."""
        self._pending += printable(text)
        self._width = self._width_now()
        out: list[str] = []
        while self._pending and self._step(out, final=False):
            pass
        return "".join(out)

    def finish(self) -> str:
        """Return the buffered rest, and reset the terminal's style."""
        out: list[str] = []
        while self._pending and self._step(out, final=True):
            pass
        self._styles, self._base = [], ""
        self._restyle(out)
        return "".join(out)

    def _step(self, out: list[str], *, final: bool) -> bool:
        """Consume some of the pending text; False if more text is needed first."""
        if self._line_start:
            return self._begin_line(out, final=final)
        if self._fence or self._fence_label:
            return self._verbatim(out)
        return self._inline(out, final=final)

    def _begin_line(self, out: list[str], *, final: bool) -> bool:
        line, newline, _ = self._pending.partition("\n")
        complete = bool(newline) or final
        spaces = len(line) - len(line.lstrip(" "))
        rest = line[spaces:]
        if not complete and not rest:
            return False
        if rest.startswith("|") and not self._fence and not self._base:
            taken = self._table_line(out, line, final=final)
            if taken is not None:
                return taken
        self._table = None
        if self._fence:
            if rest.startswith(self._fence):
                self._end_fence(out, line)
                return True
            if not complete and self._fence.startswith(rest):
                return False
            self._line_start = False
            return True
        if not complete and (_MAYBE_BLOCK_MARKER.fullmatch(rest) or _MAYBE_RULE.fullmatch(rest)):
            return False
        self._indent = " " * min(spaces, 12)
        fence = _FENCE.match(rest)
        if fence:
            self._fence, self._fence_label = fence[1], True
            self._styles = ["dim"]
            self._line_start = False
            return True
        if complete and _RULE.fullmatch(rest):
            self._styles = ["dim"]
            self._write(out, "─" * min(self._width, 40))
            self._styles = []
            self._pending = self._pending[len(line) :]
            self._line_start = False
            return True
        self._pending = self._pending[spaces:]
        self._write(out, self._indent)
        marker = _BLOCK_MARKER.match(rest)
        if marker:
            self._pending = self._pending[marker.end() :]
            self._block_marker(out, marker)
        self._line_start = False
        self._before = ""
        self._number_prefix = None if marker else ""
        return True

    def _table_line(self, out: list[str], line: str, *, final: bool) -> bool | None:
        """Handle a line that begins with `|`; None if it is not part of a table."""
        _, newline, after = self._pending.partition("\n")
        if not newline and not final:
            return False
        if self._table is not None:
            out.append(self._table.add([self._cell(cell) for cell in cells_of(line)]) + newline)
            self._pending = after
            return True
        below, below_newline, later = after.partition("\n")
        if not below_newline and not final and may_be_delimiter(below):
            return False
        if not is_delimiter(below):
            return None
        table = Table(
            [self._cell(cell, "bold") for cell in cells_of(line)],
            below,
            indent=" " * (len(line) - len(line.lstrip(" "))),
            width=self._width,
            size=self._size,
        )
        if not table.fits:
            return None
        self._table = table
        out.append(table.begin() + below_newline)
        self._pending = later
        return True

    def _cell(self, text: str, *styles: str) -> str:
        """Render the inline Markdown of a table cell, line by line."""
        inner = MarkdownStream(self._size, colours=self._colours)
        inner._width = 10**6
        lines = []
        for line in text.split("\n"):
            out: list[str] = []
            inner._line_start, inner._styles, inner._pending = False, list(styles), line
            while inner._pending and inner._step(out, final=True):
                pass
            inner._styles = []
            inner._restyle(out)
            lines.append("".join(out))
        return "\n".join(lines)

    def _block_marker(self, out: list[str], marker: re.Match[str]) -> None:
        if marker["heading"]:
            self._styles = ["heading"]
            return
        if marker["quote"]:
            self._styles = ["quote"]
            shown = "│ "
        else:
            shown = "• "
        self._write(out, shown)
        self._indent += "│ " if marker["quote"] else " " * len(shown)

    def _end_fence(self, out: list[str], line: str) -> None:
        self._fence, self._code = "", None
        self._styles = ["dim"]
        self._write(out, line)
        self._styles = []
        self._pending = self._pending[len(line) :]
        self._line_start = False

    def _verbatim(self, out: list[str]) -> bool:
        """Inside a fence: no markup, no wrapping; a line that is complete gets its colours."""
        line, newline, rest = self._pending.partition("\n")
        if not self._code_line:
            self._code_size = self._size()
        begun, self._code_line = self._code_line, self._code_line + line
        self._pending = rest
        if newline and self._code is not None and self._can_redraw_code_line():
            self._restyle(out)
            coloured = self._code.line(self._code_line)
            out.append(f"\r\x1b[K{coloured}" if begun else coloured)
        else:
            self._restyle(out)
            out.append(line)
        if newline:
            self._after_code_line()
            self._newline(out)
        return bool(rest)

    def _can_redraw_code_line(self) -> bool:
        """Whether the line of code is on a single screen line, so that it can be redrawn."""
        size = self._size()
        return size == self._code_size and columns(self._code_line) < size.columns

    def _after_code_line(self) -> None:
        if self._fence_label:
            self._fence_label = False
            self._code = self._colours_of(self._code_line)
            self._styles = [] if self._code else ["code"]
        self._code_line = ""

    def _colours_of(self, label: str) -> Colours | None:
        words = label.strip("`~ ").split()
        if not words or not self._colours or self._base:
            return None
        try:
            return Colours(words[0].lower())
        except LookupError:
            return None

    def _inline(self, out: list[str], *, final: bool) -> bool:
        text = self._pending
        char = text[0]
        if char == "\n":
            self._pending = text[1:]
            self._styles = []
            self._flush_word()
            self._newline(out)
            return True
        if char == "`":
            return self._toggle(out, "code", "`")
        if "code" not in self._styles and char == "[":
            if link := _LINK.match(text):
                return self._link(out, link)
            if not final and _MAYBE_LINK.fullmatch(text):
                return False
        if "code" not in self._styles and char in "*_\\":
            if len(text) == 1 and not final:
                return False
            following = text[1:2]
            if char == "\\" and following and not following.isalnum() and following != "\n":
                self._write(out, following)
                self._pending = text[2:]
                return True
            if char != "\\" and following == char:
                return self._emphasis(out, "bold", char * 2, final=final)
            if char != "\\":
                return self._emphasis(out, "italic", char, final=final)
        self._write(out, char)
        self._pending = text[1:]
        if self._number_prefix is not None:
            self._after_number(char)
        return True

    def _after_number(self, char: str) -> None:
        """Align the following lines of a numbered list item with its text."""
        assert self._number_prefix is not None
        self._number_prefix += char
        if _NUMBER.fullmatch(self._number_prefix):
            self._indent += " " * len(self._number_prefix)
        if not _MAYBE_NUMBER.fullmatch(self._number_prefix):
            self._number_prefix = None

    def _link(self, out: list[str], link: re.Match[str]) -> bool:
        """Print the text of a link, followed by its address."""
        rest, before = self._pending[link.end() :], list(self._styles)
        text, address = link["text"], link["address"]
        if text and text != address:
            self._styles = [*before, "link"]
            self._pending = text
            while self._pending and self._step(out, final=True):
                pass
            self._styles = [*before, "dim"]
            self._write(out, f" ({address})" if address else "")
        else:
            self._styles = [*before, "link"]
            self._write(out, address)
        self._styles, self._pending = before, rest
        return True

    def _emphasis(self, out: list[str], style: str, marker: str, *, final: bool) -> bool:
        """Markers count only next to a word: `2 * 3` and `snake_case` are not emphasis."""
        after = self._pending[len(marker) : len(marker) + 1]
        if not after and not final:
            return False
        inside_word = self._before.isalnum() and after.isalnum()
        closing = style in self._styles and not self._before.isspace()
        opening = style not in self._styles and after not in ("", " ", "\n", marker[0])
        if (closing or opening) and not (marker[0] == "_" and inside_word):
            return self._toggle(out, style, marker)
        self._write(out, marker)
        self._pending = self._pending[len(marker) :]
        return True

    def _toggle(self, out: list[str], style: str, marker: str) -> bool:
        if style in self._styles:
            self._styles = [name for name in self._styles if name != style]
        else:
            self._styles = [*self._styles, style]
        self._pending = self._pending[len(marker) :]
        return True

    def _write(self, out: list[str], text: str) -> None:
        """Print text in the current style, wrapped at word boundaries."""
        for char in text:
            self._before = char
            size = char_columns(char)
            styled = self._style_change() + char
            if char == " ":
                self._flush_word()
                if self._column >= self._width:
                    continue
            elif self._column + size > self._width:
                self._wrap(out)
            if char != " ":
                self._word += styled
                self._word_columns += size
            out.append(styled)
            self._column += size

    def _wrap(self, out: list[str]) -> None:
        """Move the word that does not fit to a new line; break a word longer than a line."""
        indent = self._indent
        indent_columns = len(indent)
        if 0 < self._word_columns < self._width - indent_columns:
            out.append(f"\x1b[{self._word_columns}D\x1b[K\n{indent}{self._word}")
            self._column = indent_columns + self._word_columns
        else:
            out.append(f"\n{indent}")
            self._column = indent_columns
            self._flush_word()

    def _flush_word(self) -> None:
        self._word, self._word_columns = "", 0

    def _newline(self, out: list[str]) -> None:
        self._restyle(out)
        out.append("\n")
        self._line_start, self._column, self._indent = True, 0, ""
        self._flush_word()

    def _restyle(self, out: list[str]) -> None:
        out.append(self._style_change())

    def _style_change(self) -> str:
        wanted = [self._base, *self._styles] if self._base else self._styles
        if wanted == self._active_styles:
            return ""
        self._active_styles = list(wanted)
        known = _SGR if self._colours else _WITHOUT_COLOURS
        codes = ";".join(known[name] for name in wanted)
        return RESET + (f"\x1b[{codes}m" if codes else "")

    def _width_now(self) -> int:
        """Usable width: the last column stays free, and lines are limited for readability."""
        return max(1, min(self._size().columns - 1, _MAX_COLUMNS))
