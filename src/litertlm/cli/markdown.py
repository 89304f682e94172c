"""Draw markdown on a terminal while it is still being written.

Text appears as it arrives and is never drawn twice, but for a word that does not fit on its line,
which moves to the next. What is held back is only a marker that is not complete (`**`, `###`), so
nothing waits for the end of a block. Understood: headings, emphasis, code, fences, lists, quotes,
rules. Tables and links stay as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import category, east_asian_width

_RESET = "\x1b[0m"
_SGR = {"bold": "1", "dim": "2", "italic": "3", "heading": "1;36", "code": "36", "quote": "2"}
_BLOCK_MARKER = re.compile(
    r"(?P<heading>#{1,6}) |(?P<bullet>[-*+]) |(?P<number>\d{1,3}[.)]) |(?P<quote>>) ?"
)
_MAYBE_BLOCK_MARKER = re.compile(r"#{1,6}|[-*+]|\d{1,3}[.)]?|>|`{1,2}|~{1,2}")
_FENCE = re.compile(r"(```+|~~~+)")
_RULE = re.compile(r"([-*_])(?:[ ]*\1){2,}[ ]*")
_MAYBE_RULE = re.compile(r"([-*_])(?:[ ]*\1)*[ ]*")


class MarkdownStream:
    """Turns pieces of markdown into pieces of terminal text.

    Args:
        width: columns that may be used, asked again for each line (a terminal changes its size).
        base: a style of everything, such as `dim`; empty for none.
    """

    def __init__(self, width: Callable[[], int], base: str = "") -> None:
        self._width_now = width
        self._width = width()
        self._base = base
        self._held = ""
        self._styles: list[str] = []
        self._shown_styles: list[str] = []
        self._line_start = True
        self._column = 0
        self._indent = ""
        self._word = ""
        self._word_columns = 0
        self._fence = ""
        self._fence_label = False
        self._before = ""

    def feed(self, text: str) -> str:
        """Take the next markdown; return what the terminal is to be sent now."""
        self._held += text
        out: list[str] = []
        while self._held and self._step(out, final=False):
            pass
        return "".join(out)

    def finish(self) -> str:
        """Return what was held back, and leave the terminal's style as it was."""
        out: list[str] = []
        while self._held and self._step(out, final=True):
            pass
        self._styles, self._base = [], ""
        self._restyle(out)
        return "".join(out)

    def _step(self, out: list[str], *, final: bool) -> bool:
        """Consume a little of the held text; False when more must arrive first."""
        if self._line_start:
            return self._begin_line(out, final=final)
        if self._fence or self._fence_label:
            return self._verbatim(out)
        return self._inline(out, final=final)

    def _begin_line(self, out: list[str], *, final: bool) -> bool:
        line, newline, _ = self._held.partition("\n")
        complete = bool(newline) or final
        spaces = len(line) - len(line.lstrip(" "))
        rest = line[spaces:]
        if not complete and not rest:
            return False
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
        self._width = self._width_now()
        self._indent = " " * min(spaces, 12)
        fence = _FENCE.match(rest)
        if fence:
            self._fence, self._fence_label = fence[1], True
            self._styles = ["dim"]
            self._line_start = False
            self._put(out, " " * spaces)
            return True
        if complete and _RULE.fullmatch(rest):
            self._styles = ["dim"]
            self._put(out, "─" * min(self._width, 40))
            self._styles = []
            self._held = self._held[len(line) :]
            self._line_start = False
            return True
        self._held = self._held[spaces:]
        self._put(out, self._indent)
        marker = _BLOCK_MARKER.match(rest)
        if marker:
            self._held = self._held[marker.end() :]
            self._block_marker(out, marker)
        self._line_start = False
        self._before = ""
        return True

    def _block_marker(self, out: list[str], marker: re.Match[str]) -> None:
        if marker["heading"]:
            self._styles = ["heading"]
            return
        if marker["quote"]:
            self._styles = ["quote"]
            shown = "│ "
        elif marker["bullet"]:
            shown = "• "
        else:
            shown = marker["number"] + " "
        self._put(out, shown)
        self._indent += "│ " if marker["quote"] else " " * len(shown)

    def _end_fence(self, out: list[str], line: str) -> None:
        self._fence = ""
        self._styles = ["dim"]
        self._put(out, line)
        self._styles = []
        self._held = self._held[len(line) :]
        self._line_start = False

    def _verbatim(self, out: list[str]) -> bool:
        """Inside a fence: no markup, no wrapping."""
        line, newline, rest = self._held.partition("\n")
        self._restyle(out)
        out.append(line)
        self._held = rest
        if newline:
            self._fence_label = False
            self._styles = ["code"]
            self._newline(out)
        return bool(rest)

    def _inline(self, out: list[str], *, final: bool) -> bool:
        text = self._held
        char = text[0]
        if char == "\n":
            self._held = text[1:]
            self._styles = []
            self._flush_word()
            self._newline(out)
            return True
        if char == "`":
            return self._toggle(out, "code", "`")
        if "code" not in self._styles and char in "*_\\":
            if len(text) == 1 and not final:
                return False
            following = text[1:2]
            if char == "\\" and following and not following.isalnum() and following != "\n":
                self._put(out, following)
                self._held = text[2:]
                return True
            if char != "\\" and following == char:
                return self._emphasis(out, "bold", char * 2, final=final)
            if char != "\\":
                return self._emphasis(out, "italic", char, final=final)
        self._put(out, char)
        self._held = text[1:]
        return True

    def _emphasis(self, out: list[str], style: str, marker: str, *, final: bool) -> bool:
        """Markers count where they touch a word: `2 * 3` and `snake_case` are not emphasis."""
        after = self._held[len(marker) : len(marker) + 1]
        if not after and not final:
            return False
        inside_word = self._before.isalnum() and after.isalnum()
        closing = style in self._styles and not self._before.isspace()
        opening = style not in self._styles and after not in ("", " ", "\n", marker[0])
        if (closing or opening) and not (marker[0] == "_" and inside_word):
            return self._toggle(out, style, marker)
        self._put(out, marker)
        self._held = self._held[len(marker) :]
        return True

    def _toggle(self, out: list[str], style: str, marker: str) -> bool:
        if style in self._styles:
            self._styles = [name for name in self._styles if name != style]
        else:
            self._styles = [*self._styles, style]
        self._held = self._held[len(marker) :]
        return True

    def _put(self, out: list[str], text: str) -> None:
        """Show plain text in the current style, wrapped between words."""
        for char in text:
            self._before = char
            columns = _columns(char)
            styled = self._style_change() + char
            if char == " ":
                self._flush_word()
                if self._column >= self._width:
                    continue
            elif self._column + columns > self._width:
                self._wrap(out)
            if char != " ":
                self._word += styled
                self._word_columns += columns
            out.append(styled)
            self._column += columns

    def _wrap(self, out: list[str]) -> None:
        """Move the word that does not fit to a new line, or break a word of a whole line."""
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
        if wanted == self._shown_styles:
            return ""
        self._shown_styles = list(wanted)
        codes = ";".join(_SGR[name] for name in wanted)
        return _RESET + (f"\x1b[{codes}m" if codes else "")


def _columns(char: str) -> int:
    """Columns that a character takes: marks none, East Asian wide ones and most emoji two."""
    if char.isascii():
        return 1
    if category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
