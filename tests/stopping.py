"""The program stopped at a certain moment, so that a test can interrupt it just there.

A process that is killed after a random time may have ended before; one that waits has not.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from program import isolated_environment

_FOLDER = Path(__file__).parent / "stops"
_PATIENCE = 120  # seconds; a shared machine may be slow


@dataclass(frozen=True)
class Moment:
    """Where the program is stopped.

    Attributes:
        event: `open` (for writing), `pwrite` (which has been done), `rename` or `remove` (which
            will be done), `import`.
        name: pattern of the file's name (of the new one for `rename`) or the module's.
        skip: how many such events come before.
        process: an argument of the process's command line, if it is not the first process.
    """

    event: str
    name: str
    skip: int = 0
    process: str = ""

    def __str__(self) -> str:
        return f"{self.event} {self.name} {self.skip}"


class Stop:
    """One stop of a program that is started with `environment`."""

    def __init__(self, moment: Moment, home: Path) -> None:
        self._moment = moment
        self._marker = home / f"stopped-{time.monotonic_ns()}"
        self.environment = {
            "PYTHON_STOP_AT": json.dumps({**vars(moment), "marker": str(self._marker)}),
            "PYTHONPATH": f"{_FOLDER}{os.pathsep}{isolated_environment(home)['PYTHONPATH']}",
        }

    def reached(self) -> bool:
        """Whether the program has stopped."""
        return self._marker.exists()

    def wait(self, process: subprocess.Popen[str]) -> None:
        """Wait until the program has stopped; a program that ends without it fails the test."""
        wait_until(self.reached, process, f"it stopped at {self._moment}")

    def release(self) -> None:
        """Let the program go on."""
        self._marker.unlink()

    def interrupt(self, process: subprocess.Popen[str], number: signal.Signals) -> None:
        """Send a signal to the stopped program, and let it go on once the signal is delivered."""
        process.send_signal(number)
        status = Path(f"/proc/{process.pid}/status")

        def delivered() -> bool:
            pending = re.findall(r"^S\w+Pnd:\s*(\w+)", status.read_text(), re.MULTILINE)
            return not any(int(mask, 16) >> (number - 1) & 1 for mask in pending)

        wait_until(delivered, process, f"{number.name} was delivered", may_end=True)
        self.release()

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill the stopped program."""
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        self.release()


def wait_until(
    condition: Callable[[], object],
    process: subprocess.Popen[str],
    what: str,
    *,
    may_end: bool = False,
) -> None:
    """Wait for a condition while the program runs.

    Args:
        may_end: whether the program may end before; else it fails the test.
    """
    end = time.monotonic() + _PATIENCE
    while not condition():
        if process.poll() is not None:
            if may_end:
                return
            raise AssertionError(f"it ended before {what}: {process.communicate()}")
        assert time.monotonic() < end, f"{_PATIENCE} s, and not yet: {what}"
        time.sleep(0.002)
