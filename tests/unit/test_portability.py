"""The program where POSIX-only modules and functions are missing, as on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from program import isolated_environment
from tiny import MODELS, write_checkpoint

_HIDDEN = """
import os, signal, sys
sys.modules.update(dict.fromkeys(("fcntl", "termios", "tty", "pty", "grp", "pwd"), None))
for name in ("pwrite", "pread", "fork", "killpg", "mkfifo", "getuid", "posix_fallocate"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGTSTP"):
    delattr(signal, name)
from litertlm.cli.main import main
from litertlm.cli import signals
import litertlm.cli.repl.loop, litertlm.services.worker.worker, litertlm.server.run
signals.install()
for arguments in (
    ["convert", "./checkpoint"],
    ["list"],
    ["show", "local/checkpoint"],
    ["export", "checkpoint", "."],
    ["prune"],
):
    assert main(arguments) == 0, arguments
signals.ignore()
"""


def test_without_posix_only_functions(tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "checkpoint")
    done = subprocess.run(
        [sys.executable, "-c", _HIDDEN],
        env=isolated_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "local/checkpoint" in done.stdout
    assert (tmp_path / "checkpoint.litertlm").stat().st_size
