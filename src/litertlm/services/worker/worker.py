"""The parent's side: start one of the modules beside this one, and read its answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import litertlm
from litertlm.runtime.stderr_capture import anonymous_file, informative_lines
from litertlm.services.processes import how_it_ended, module_command
from litertlm.settings import child_environment

if TYPE_CHECKING:
    import tempfile

_REASON_LINES = 3
_LONGEST_ANSWER = 1 << 28  # bytes
_NICE = 15  # a process of low priority gets 3 % of a contended processor, so it never stalls
# What native code prints when there is no more memory.
_NO_MEMORY = ("MemoryError", "bad_alloc", "memory allocation of", "Cannot allocate memory")


class WorkerFailed(Exception):
    """The worker gave no answer; the text is the reason.

    Attributes:
        of_the_machine: no memory, or killed from outside: not the fault of what it worked on.
        cause: `start` (it did not start), `time` (it took too long), `memory` (it got none),
            `signal` or `exit`, as it ended.
        signal_number: the signal that ended it; 0 for none.
    """

    def __init__(
        self,
        why: str,
        *,
        of_the_machine: bool,
        cause: str,
        signal_number: int = 0,
    ) -> None:
        super().__init__(why)
        self.of_the_machine = of_the_machine
        self.cause = cause
        self.signal_number = signal_number


class Worker:
    """`python -m litertlm.services.worker.<module>`, which ends with this process at the latest.

    It gets few environment variables (`settings.child_environment`), and no token.

    It reads requests and prints answers, one JSON object per line each.

    Args:
        low_priority: it gets the processor when nothing else of the session needs it.
        shares_files: whether it has a folder.
        background: Ctrl-C in the terminal does not reach it, not even while it starts.
    """

    def __init__(
        self,
        module: str,
        *,
        low_priority: bool = False,
        shares_files: bool = True,
        background: bool = False,
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        arguments = []
        if shares_files:
            import tempfile  # 10 ms, for the random numbers in its names

            self._temporary = tempfile.TemporaryDirectory(prefix="litert-lm-")
            arguments = [self._temporary.name]
        self._errors = anonymous_file()
        self._failed_to_start = ""
        self._process: subprocess.Popen[bytes] | None = None
        # In the folder of the package, whose modules the interpreter then finds first.
        place = Path(litertlm.__file__).parents[1]
        try:
            self._process = subprocess.Popen(
                module_command(f"{__package__}.{module}", *arguments),
                cwd=place,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=child_environment(os.environ),
                start_new_session=background,
            )
        except OSError as error:  # no memory, or too many processes
            self._failed_to_start = str(error)
            return
        if low_priority and sys.platform != "win32":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)

    def __enter__(self) -> Worker:
        return self

    @property
    def folder(self) -> Path:
        """An empty folder for files that both use; it is removed at the end of the context."""
        assert self._temporary is not None, "this worker shares no files"
        return Path(self._temporary.name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and remove the shared folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
        self._errors.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def kill(self) -> None:
        """End the process; safe in a signal handler, where `receive` may be waiting."""
        if self._process is not None:
            self._process.kill()

    def send(self, values: Mapping[str, Any]) -> None:
        """Send a request. One of less than 64 KiB does not wait until the worker reads it."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # `receive` gives the reason
                self._process.stdin.write(json.dumps(values).encode() + b"\n")
                self._process.stdin.flush()

    def receive(self, seconds: float) -> dict[str, Any]:
        """Wait for the next answer.

        Args:
            seconds: after which to give up.

        Raises:
            WorkerFailed: there is none.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerFailed(self._failed_to_start, of_the_machine=True, cause="start")
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = process.stdout.readline(_LONGEST_ANSWER)
            if line.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(line)
                return answer
            if line:  # cut off, or too long
                process.kill()
            code = process.wait()
        finally:
            timed_out = not watchdog.is_alive()
            watchdog.cancel()
        if timed_out:
            why = f"it took more than {seconds:.0f} s"
            raise WorkerFailed(why, of_the_machine=True, cause="time")
        raise self._failure(code)

    def stderr_tail(self) -> str:
        """The last lines of its stderr as one line, after it has given its answer or ended."""
        lines = informative_lines(self._printed())[-_REASON_LINES:]
        return " ".join(line.strip() for line in lines)

    def _printed(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")

    def _failure(self, code: int) -> WorkerFailed:
        printed = self._printed()
        why = f"{self.stderr_tail()} ({how_it_ended(code)})".lstrip()
        no_memory = any(mark in printed for mark in _NO_MEMORY)
        machine = (
            code > 0  # Python's own: a module that is missing, an error of this program
            or -code in _FROM_OUTSIDE
            or no_memory
            or _memory_is_limited()
        )
        return WorkerFailed(
            why,
            of_the_machine=machine,
            cause="memory" if no_memory else "signal" if code < 0 else "exit",
            signal_number=max(0, -code),
        )


_FROM_OUTSIDE = frozenset(
    getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")
    if hasattr(signal, name)  # Windows has two of them
)


def _memory_is_limited() -> bool:
    """Whether there is a limit of address space (`ulimit -v`), at which native code aborts."""
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def absolute(path: Path) -> str:
    """`path` for a request: the worker runs in another folder."""
    return os.path.abspath(path)
