"""Text from outside (names in a checkpoint, a server's answer) made safe for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_LINE = 500  # characters
# What looks like a Hugging Face token, also the beginning of one that was cut off.
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_REPLACEMENT = "<token>"


def printable(text: str, *, longest: int | None = LONGEST_LINE) -> str:
    """`text` with control and invisible characters as escapes, and long lines shortened.

    A terminal obeys escape sequences, and a bidirectional mark reverses what a line says. Line
    breaks stay.

    Args:
        longest: characters of a line; None for any number.
    """
    return "\n".join(_line(line, longest) for line in text.split("\n"))


def printable_line(text: str) -> str:
    """`printable` of a text that is one line: its line breaks become escapes as well."""
    return _line(text, LONGEST_LINE)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`, and without anything else that looks like a token."""
    for secret in secrets:
        text = text.replace(secret, _REPLACEMENT)
    return _TOKEN.sub(_REPLACEMENT, text) if "hf_" in text else text


def _line(line: str, longest: int | None) -> str:
    if longest is not None and len(line) > longest:
        half = longest // 2
        line = f"{line[:half]} [...] {line[-half:]}"
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
