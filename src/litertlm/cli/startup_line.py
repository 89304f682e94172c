"""The first sign of life on a terminal, before anything that takes time is imported.

Imports are most of the time until the program can say something of its own. This module needs only
what Python has loaded by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_SLOW_COMMANDS = ("run", "convert", "pull")
_SILENT_OPTIONS = ("--quiet", "--json", "--help", "-h", "--version")


def first_line(arguments: Sequence[str]) -> str:
    """What to show at once for the program's `arguments`; empty where other words come first."""
    if not any(name in arguments for name in _SLOW_COMMANDS):
        return ""
    if any(name in arguments for name in _SILENT_OPTIONS):
        return ""
    model = arguments[1] if arguments[0] in _SLOW_COMMANDS and len(arguments) > 1 else ""
    if not model or model.startswith("-") or not model.isprintable():
        return "Starting..."
    return f"Looking for {model}..."


def show_first_line(arguments: Sequence[str]) -> None:
    """Show it on stderr, if that is a terminal.

    The cursor goes back to the start of the line: `output.py` clears it for its first words.
    """
    line = first_line(arguments)
    if line and _animates():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        sys.stderr.write(f"{line[: max(0, columns - 1)]}\r")
        sys.stderr.flush()


def interrupted() -> None:
    """Say so in its place: the program ends before it could say anything else."""
    if _animates():
        sys.stderr.write("\r\x1b[K✗ Interrupted.\n")
        sys.stderr.flush()


def _animates() -> bool:
    smart = os.environ.get("TERM") not in {"dumb", ""}
    return smart and sys.stderr is not None and sys.stderr.isatty()
