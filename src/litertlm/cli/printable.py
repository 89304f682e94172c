"""Text from outside (names in a checkpoint, a server's answer) made safe for a terminal."""

from __future__ import annotations

LONGEST_LINE = 500  # characters


def printable(text: str) -> str:
    """`text` with control and invisible characters as escapes, and long lines shortened.

    A terminal obeys escape sequences, and a bidirectional mark reverses what a line says. Line
    breaks stay.
    """
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    if len(line) > LONGEST_LINE:
        half = LONGEST_LINE // 2
        line = f"{line[:half]} [...] {line[-half:]}"
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
