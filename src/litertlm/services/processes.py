"""What the two kinds of worker processes have in common: the command, and how they end."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package in the folder of the package."""
    flags = ["-I"] if sys.flags.isolated else []
    return [sys.executable, *flags, "-m", module, *arguments]


def how_it_ended(code: int) -> str:
    """An exit status in words: `exit code 1`, or the name of a signal."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
