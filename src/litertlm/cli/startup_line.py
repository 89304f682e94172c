"""Print a first line on a terminal before anything slow is imported.

Imports take most of the time until the program can print its first status. This module imports only
what Python itself has loaded at startup.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_SLOW_COMMANDS = ("run", "convert", "pull")
_SILENT_OPTIONS = ("--quiet", "--json", "--progress", "--help", "-h", "--version")


def first_line(arguments: Sequence[str]) -> str:
    """The first line for the program's `arguments`; empty if none is to be printed."""
    if not any(name in arguments for name in _SLOW_COMMANDS):
        return ""
    if any(name in arguments for name in _SILENT_OPTIONS):
        return ""
    model = arguments[1] if arguments[0] in _SLOW_COMMANDS and len(arguments) > 1 else ""
    if not model or model.startswith("-") or not model.isprintable():
        return "Starting..."
    return f"Looking for {model}..."


def show_first_line(arguments: Sequence[str]) -> None:
    """Print the first line on stderr, if that is a terminal.

    The cursor returns to the start of the line, so that `output.py` overwrites it.
    """
    line = first_line(arguments)
    if line and _animates():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        sys.stderr.write(f"{line[: max(0, columns - 1)]}\r")
        sys.stderr.flush()


def interrupted() -> None:
    """Replace the first line by `✗ Interrupted.`; for use before `output.py` is imported."""
    if _animates():
        sys.stderr.write("\r\x1b[K✗ Interrupted.\n")
        sys.stderr.flush()


def _animates() -> bool:
    smart = os.environ.get("TERM") not in {"dumb", ""}
    return smart and sys.stderr is not None and sys.stderr.isatty()
