"""Copy text to the clipboard."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Mapping

_PROGRAMS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("HOME", ("pbcopy",)),
)
_SECONDS = 5


def copy_with_program(text: str, environment: Mapping[str, str]) -> str | None:
    """Copy with the desktop's clipboard program; returns its name, or None if there is none."""
    for variable, command in _PROGRAMS:
        if environment.get(variable) and shutil.which(command[0]):
            try:
                subprocess.run(
                    command,
                    input=text.encode(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=_SECONDS,
                    check=True,
                )
            except (OSError, subprocess.SubprocessError):
                continue
            return command[0]
    return None


def terminal_copy_sequence(text: str) -> str:
    """The escape sequence OSC 52 (xterm), with which a terminal copies `text`, also over ssh."""
    return f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
