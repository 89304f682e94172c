"""The first line, printed before the imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from litertlm.cli.startup_line import first_line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "demo"], "Looking for demo..."),
        (["pull", "Qwen/Qwen3-0.6B"], "Looking for Qwen/Qwen3-0.6B..."),
        (["run", "--seed", "3", "demo"], "Starting..."),
        (["--verbose", "run", "demo"], "Starting..."),
        (["run"], "Starting..."),
        (["run", "a\x1b[2Jb"], "Starting..."),
        (["run", "demo", "--quiet"], ""),
        (["--json", "run", "demo"], ""),
        (["run", "--help"], ""),
        (["list"], ""),
        ([], ""),
    ],
)
def test_first_line(arguments: list[str], line: str) -> None:
    assert first_line(arguments) == line


def test_the_first_line_needs_no_slow_imports() -> None:
    code = (
        "import sys, litertlm.cli.startup_line; "
        "print({'click', 'json', 'pathlib'} & set(sys.modules))"
    )
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
