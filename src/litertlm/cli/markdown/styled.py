"""Width and wrapping of text that contains terminal styles."""

from __future__ import annotations

import re

RESET = "\x1b[0m"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SGR = re.compile("\x1b\\[[0-9;]*m")


def printable(text: str) -> str:
    """Remove control characters except newlines, so that a model cannot control the terminal."""
    return _CONTROL.sub("", text.replace("\t", "    "))


def char_columns(char: str) -> int:
    """Width of a character in columns: 0 for combining marks, 2 for East Asian wide and emoji."""
    if char.isascii():
        return 1
    from wcwidth import wcwidth  # takes 20 ms, not needed for ASCII

    return max(0, wcwidth(char))


def columns(text: str) -> int:
    """Width of a text with styles in columns; emoji sequences count as one."""
    plain = _SGR.sub("", text)
    if plain.isascii():
        return len(plain)
    from wcwidth import wcswidth

    return max(0, wcswidth(plain))


def wrap(text: str, width: int) -> list[str]:
    """Wrap `text` at word boundaries into lines of at most `width` columns; at least one line.

    Styles are closed at the end of each line and reopened on the next.
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
