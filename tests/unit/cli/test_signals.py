"""Signals whose exception Python would drop."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from program import isolated_environment

PROGRAM = """
import os
import sys
import time

from litertlm.cli.signals import Interrupted, install

class Freed:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0.01)
        print("not reached")

install()
try:
    Freed()
    time.sleep(60)
    print("not interrupted")
except Interrupted as interrupted:
    print("interrupted by", interrupted.number)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_an_object_is_freed(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(int(number))],
        env=isolated_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"interrupted by {int(number)}\n", "")
