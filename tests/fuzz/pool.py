"""Runs cases in a worker process; what hangs or crashes it is an outcome as well."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz.actions import Outcome
from program import cpu_seconds

TESTS = Path(__file__).parent.parent
_START = 120.0  # seconds for the imports on a loaded machine


class Worker:
    """One process at a time, started again after each hang or crash.

    A hang is what takes more than `timeout` seconds of processor time, so that a loaded machine
    makes no hang; a case that sleeps is one after ten times as long on the clock.
    """

    def __init__(self, timeout: float, module: str = "fuzz.worker") -> None:
        self._timeout = timeout
        self._module = module
        self._process: subprocess.Popen[str] | None = None
        self._stderr = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed with the worker

    def run(self, request: Any) -> Outcome:
        """The outcome of `(target, seed, number)`, or of a corpus entry's path."""
        process = self._started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = self._answer(process, self._timeout)
        if answer is None:
            # SIGABRT makes faulthandler name the place where it hangs.
            process.send_signal(signal.SIGABRT)
            self._end()
            return Outcome("hang", error="", place=self._place(), message=self._stderr_tail())
        if not answer:
            code = process.wait()
            self._end()
            return Outcome("crash", code, f"signal {-code}", self._place(), self._stderr_tail())
        return Outcome(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._end()
        self._stderr.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._stderr.truncate(0)
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env={**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"},
            )
            answer = self._answer(self._process, _START)
            if not answer:
                raise RuntimeError(f"The worker does not start:\n{self._stderr_tail()}")
        return self._process

    def _answer(self, process: subprocess.Popen[str], timeout: float) -> str | None:
        """A line, `""` when the process ended, None when it took too long."""
        assert process.stdout is not None
        begun, clock = cpu_seconds(process.pid), time.monotonic()
        while not select.select([process.stdout], [], [], 0.5)[0]:
            if cpu_seconds(process.pid) - begun > timeout:
                return None
            if time.monotonic() - clock > 10 * timeout:
                return None
        return process.stdout.readline()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _stderr_tail(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-4000:].decode("utf-8", "replace")

    def _place(self) -> str:
        """The innermost line of ours in faulthandler's traceback."""
        for line in self._stderr_tail().splitlines():
            path, _, rest = line.partition('", line ')
            if "/litertlm/" in path and " in " in rest:
                module = path.rpartition("/litertlm/")[2].removesuffix(".py").replace("/", ".")
                return f"{module}:{rest.rpartition(' in ')[2]}"
        return ""


@contextlib.contextmanager
def worker(timeout: float, module: str = "fuzz.worker") -> Iterator[Worker]:
    """A worker for the body of the `with`, which runs `module`."""
    made = Worker(timeout, module)
    try:
        yield made
    finally:
        made.close()
