"""File descriptor 2 is captured and restored."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, sys
from litertlm.runtime.stderr_capture import captured_stderr
with captured_stderr() as printed:
    os.write(2, b"native \\xff words\\n")
    during = printed()
os.write(2, b"afterwards\\n")
print(repr(during), printed() == during)
try:
    with captured_stderr():
        raise KeyboardInterrupt
except KeyboardInterrupt:
    sys.stderr.write("still there\\n")
"""


def test_native_output_is_kept_and_stderr_comes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "'native \ufffd words\\n' True\n"
    assert done.stderr == "afterwards\nstill there\n"
