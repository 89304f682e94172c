"""Download and convert one model, in a process of its own, which can be ended at any moment.

    python -m litertlm.services.serve.pull_process

The line on stdin: `{"model", "models_dir", "cwd"}`. Lines on stdout: `{"status": text}`,
`{"label", "total", "done"}` (bytes of a task), and at the end `{"pulled": name}` or
`{"failed": {...}}`. The process ends when stdin is closed; the next pull continues the download.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from litertlm.errors import LiteRtLmError
from litertlm.progress import Task
from litertlm.services.acquire import AcquireRequest, acquire
from litertlm.services.serve.events import error_fields
from litertlm.settings import Settings
from litertlm.store import Store

_REPORT_EVERY_S = 0.2


class _Reporter:
    """A `Progress` that prints lines; the sizes of tasks a few times a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: list[_Task] = []
        # Descriptor 1 may get what native code prints.
        self._lines = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def send(self, values: Mapping[str, Any]) -> None:
        """Print one line."""
        with self._lock:
            self._lines.write(json.dumps(values).encode() + b"\n")
            self._lines.flush()

    def report_sizes(self) -> None:
        """Print what has changed, for ever."""
        pause = threading.Event()
        while not pause.wait(_REPORT_EVERY_S):
            for task in list(self._tasks):
                self._send_size(task)

    def status(self, text: str) -> None:
        self.send({"status": text})

    def detail(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    @contextlib.contextmanager
    def task(self, label: str, total_bytes: int) -> Iterator[Task]:
        task = _Task(label, total_bytes)
        self._send_size(task)
        self._tasks.append(task)
        try:
            yield task
        finally:
            self._tasks.remove(task)
            self._send_size(task)

    def waiting(
        self, reason: str, seconds: float, *, requested: bool
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def _send_size(self, task: _Task) -> None:
        done = task.done
        if done != task.sent:
            task.sent = done
            self.send({"label": task.label, "total": task.total, "done": done})


class _Task:
    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.sent = -1
        self._lock = threading.Lock()

    def advance(self, nbytes: int) -> None:
        with self._lock:
            self.done += nbytes


def main() -> None:
    """Pull one model, unless stdin is closed before."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which decides
    reporter = _Reporter()
    order = json.loads(sys.stdin.buffer.readline() or "null")
    if order is None:
        return

    def end_with_the_server() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    for work in (end_with_the_server, reporter.report_sizes):
        threading.Thread(target=work, daemon=True).start()
    settings = Settings(Path(order["models_dir"]), Path(order["cwd"]), os.environ)
    try:
        installed = acquire(
            AcquireRequest(order["model"]),
            store=Store(settings.models_dir),
            settings=settings,
            progress=reporter,
        )
        reporter.send({"pulled": installed.name})
    except LiteRtLmError as error:
        reporter.send({"failed": error_fields(error)})
    os._exit(0)


if __name__ == "__main__":
    main()
