"""Text with terminal styles in it: how wide it is, and how it is cut into lines."""

from __future__ import annotations

import re

RESET = "\x1b[0m"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SGR = re.compile("\x1b\\[[0-9;]*m")


def printable(text: str) -> str:
    """`text` without control characters but newlines, so that a model cannot steer a terminal."""
    return _CONTROL.sub("", text.replace("\t", "    "))


def char_columns(char: str) -> int:
    """Columns that a character takes: marks none, East Asian wide ones and most emoji two."""
    if char.isascii():
        return 1
    from wcwidth import wcwidth  # 20 ms, for which plain English need not wait

    return max(0, wcwidth(char))


def columns(text: str) -> int:
    """Columns that a text with styles takes, sequences of several characters (emoji) included."""
    plain = _SGR.sub("", text)
    if plain.isascii():
        return len(plain)
    from wcwidth import wcswidth

    return max(0, wcswidth(plain))


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken between words; at least one line.

    Every line begins and ends without a style.
    """
    lines: list[str] = []
    line = word = style = ""
    used = word_used = 0
    for part in re.split("(\x1b\\[[0-9;]*m|\n| )", text):
        if part.startswith("\x1b"):
            style = "" if part == RESET else part
            word += part
        elif part == "\n":
            lines.append(line + word)
            line, word, used, word_used = style, "", 0, 0
        elif part == " ":
            if used + word_used < width:
                line, used = line + word + " ", used + word_used + 1
            else:
                lines.append(line + word)
                line, used = style, 0
            word, word_used = "", 0
        else:
            for char in part:
                size = char_columns(char)
                if used + word_used + size > width:
                    if used:
                        lines.append(line)
                        line, used = _style_at_end(line), 0
                    if word_used + size > width:
                        lines.append(line + word)
                        line, word, word_used = style, "", 0
                word, word_used = word + char, word_used + size
    lines.append(line + word)
    return [_closed(line.rstrip(" ")) for line in lines]


def _style_at_end(line: str) -> str:
    found = _SGR.findall(line)
    return found[-1] if found and found[-1] != RESET else ""


def _closed(line: str) -> str:
    return line + RESET if _style_at_end(line) else line
