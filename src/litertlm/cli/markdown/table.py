"""A table that is drawn row by row while it is streamed, with columns as wide as their content.

A row that needs wider columns redraws the table, and nothing else on the screen. When that is no
longer possible (part of the table was scrolled off, or the terminal was resized), the widths are
frozen and long cells are wrapped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from litertlm.cli.markdown.styled import columns, wrap

_MIN_WIDTH = 3
_SEPARATOR = " │ "
_DELIMITER = re.compile(r" *\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *")
_MAYBE_DELIMITER = re.compile(r"[ |:-]*")


def is_delimiter(line: str) -> bool:
    """Whether a line is a delimiter row, the one below the header: `| --- | :-: |`."""
    return "|" in line and _DELIMITER.fullmatch(line) is not None


def may_be_delimiter(line: str) -> bool:
    """Whether an incomplete line may become a delimiter row."""
    return _MAYBE_DELIMITER.fullmatch(line) is not None


def cells_of(line: str) -> list[str]:
    """Split a row into its cells."""
    row = line.strip().removeprefix("|")
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    cells = re.split(r"(?<!\\)\|", row)
    return [re.sub("<br */?>", "\n", cell.strip().replace("\\|", "|")) for cell in cells]


class Table:
    """A table whose header row is known.

    Args:
        header: its cells, already styled.
        delimiter: the delimiter row, which sets the alignment of the columns.
        indent: spaces before each line.
        width: maximum width of the table in terminal columns.
        size: returns the terminal's size; called for each row.
    """

    def __init__(
        self,
        header: list[str],
        delimiter: str,
        *,
        indent: str,
        width: int,
        size: Callable[[], os.terminal_size],
    ) -> None:
        self._aligned = [_alignment(cell) for cell in cells_of(delimiter)]
        self._rows = [header]
        self._indent = indent
        self._available = width - len(indent)
        self._size_now = size
        self._size = size()
        self._frozen = False
        self._drawn = 0
        self._widths = self._fit_widths()

    @property
    def fits(self) -> bool:
        """Whether the terminal is wide enough for the table."""
        return self._available >= (_MIN_WIDTH + len(_SEPARATOR)) * len(self._rows[0])

    def begin(self) -> str:
        """The lines of the header row."""
        return self._lines(self._rows)

    def add(self, row: list[str]) -> str:
        """The output for the next row, without the last newline; the cursor is below the table."""
        self._rows.append(row)
        widths = self._widths if self._frozen else self._fit_widths()
        if widths == self._widths:
            return self._lines([row])
        if self._drawn >= self._size.lines or self._size_now() != self._size:
            self._frozen = True
            return self._lines([row])
        self._widths = widths
        above, self._drawn = self._drawn, 0
        return f"\x1b[{above}A\x1b[J{self._lines(self._rows)}"

    def _fit_widths(self) -> list[int]:
        """Column widths: as wide as the content, with the widest reduced to fit the terminal."""
        count = max(len(row) for row in self._rows)
        if self._available < (_MIN_WIDTH + len(_SEPARATOR)) * count:
            count = len(self._rows[0])
        wanted = [_MIN_WIDTH] * count
        for row in self._rows:
            for index, cell in enumerate(_merged(row, count)):
                lines = [columns(line) for line in cell.split("\n")]
                wanted[index] = max(wanted[index], *lines)
        room = self._available - len(_SEPARATOR) * (count - 1)
        widest = min(max(wanted), room)
        while widest > _MIN_WIDTH and sum(min(width, widest) for width in wanted) > room:
            widest -= 1
        return [min(width, widest) for width in wanted]

    def _lines(self, rows: list[list[str]]) -> str:
        lines: list[str] = []
        for row in rows:
            cells = [
                wrap(cell, width)
                for cell, width in zip(_merged(row, len(self._widths)), self._widths, strict=True)
            ]
            for number in range(max(map(len, cells))):
                parts = [cell[number] if number < len(cell) else "" for cell in cells]
                lines.append(_SEPARATOR.join(map(self._padded, range(len(parts)), parts)).rstrip())
            if row is self._rows[0]:
                lines.append("─┼─".join("─" * width for width in self._widths))
        self._drawn += len(lines)
        return "\n".join(self._indent + line for line in lines)

    def _padded(self, column: int, text: str) -> str:
        free = max(0, self._widths[column] - columns(text))
        aligned = self._aligned[column] if column < len(self._aligned) else "<"
        before = {"<": 0, "^": free // 2, ">": free}[aligned]
        return " " * before + text + " " * (free - before)


def _alignment(cell: str) -> str:
    if not cell.endswith(":"):
        return "<"
    return "^" if cell.startswith(":") else ">"


def _merged(row: list[str], count: int) -> list[str]:
    """`row` as `count` cells: missing cells are empty, surplus cells are joined."""
    if len(row) > count:
        return [*row[: count - 1], " | ".join(row[count - 1 :])]
    return row + [""] * (count - len(row))
