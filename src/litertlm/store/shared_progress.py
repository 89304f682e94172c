"""What the process that works on a model does, for other processes that wait for it.

The owner of a model's lock writes its progress to `.locks/<org>--<name>.progress`; a process that
waits for the lock shows it. The file of a killed owner is never read: the next owner replaces it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litertlm.progress import Progress, Task
from litertlm.store.files import read_regular, temporary_path

_WRITE_SECONDS = 0.5
_LARGEST = 10_000  # bytes of the file


class SharedProgress:
    """A `Progress` that also writes to files, between `share` and the end of its context.

    Args:
        inner: shows the progress of this process.
        clock: the time of day in seconds, the same in all processes.
    """

    def __init__(self, inner: Progress, clock: Callable[[], float] = time.time) -> None:
        self._inner = inner
        self._clock = clock
        self._paths: list[Path] = []
        self._tasks: list[_SharedTask] = []
        self._wait: tuple[str, float] | None = None
        self._written: dict[str, Any] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def share(self, path: Path) -> Iterator[None]:
        """Write to `path` inside of the context; the file is removed at its end."""
        self._paths.append(path)
        self._write(again=True)
        ended = threading.Event()

        def write_often() -> None:
            while not ended.wait(_WRITE_SECONDS):
                self._write()

        threading.Thread(target=write_often, daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            with self._lock:
                self._paths.remove(path)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def status(self, text: str) -> None:
        self._inner.status(text)

    def detail(self, text: str) -> None:
        self._inner.detail(text)

    def warn(self, text: str) -> None:
        self._inner.warn(text)

    @contextlib.contextmanager
    def task(self, label: str, total_bytes: int) -> Iterator[Task]:
        with self._inner.task(label, total_bytes) as inner:
            task = _SharedTask(inner, label, total_bytes)
            self._tasks.append(task)
            self._write()
            try:
                yield task
            finally:
                self._tasks.remove(task)
                self._write()

    @contextlib.contextmanager
    def waiting(self, reason: str, seconds: float, *, requested: bool) -> Iterator[None]:
        with self._inner.waiting(reason, seconds, requested=requested):
            if requested:
                self._wait = (reason, self._clock() + seconds)
                self._write()
            try:
                yield
            finally:
                if requested:
                    self._wait = None

    def _write(self, *, again: bool = False) -> None:
        """Write what has changed. Nobody depends on the files, so errors are ignored.

        Args:
            again: write although nothing has changed.
        """
        with self._lock:
            state: dict[str, Any] = {"pid": os.getpid()}
            for task in self._tasks[-1:]:
                state |= {"label": task.label, "done": task.done, "total": task.total}
            if self._wait is not None:
                state |= {"reason": self._wait[0], "until": self._wait[1]}
            if state == self._written and not again:
                return
            self._written = state
            for path in self._paths:
                with contextlib.suppress(OSError):
                    temporary = temporary_path(path)
                    temporary.write_text(json.dumps(state))
                    os.replace(temporary, path)


@dataclass(eq=False)
class _SharedTask:
    inner: Task
    label: str
    total: int
    done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, nbytes: int) -> None:
        with self._lock:
            self.done += nbytes
        self.inner.advance(nbytes)


class Follower:
    """Shows the progress of another process; use as a context manager.

    Args:
        path: the file of the other process's `SharedProgress`.
        progress: shows it.
        clock: as for `SharedProgress`.
    """

    def __init__(
        self, path: Path, progress: Progress, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._progress = progress
        self._clock = clock
        self._shown: tuple[object, ...] = ()
        self._task: Task | None = None
        self._done = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def update(self) -> None:
        """Read the file and show what is new."""
        state = self._read()
        label, total, until = state.get("label"), state.get("total"), state.get("until")
        if (pid := state.get("pid"), label, total, until) != self._shown:
            self._stack.close()
            self._shown, self._task, self._done = (pid, label, total, until), None, 0
            if isinstance(label, str) and isinstance(total, int):
                shown = f"Process {pid}: {label}"
                self._task = self._stack.enter_context(self._progress.task(shown, total))
            if isinstance(until, float) and (left := until - self._clock()) > 0:
                reason = str(state.get("reason", ""))
                waiting = self._progress.waiting(reason, left, requested=True)
                self._stack.enter_context(waiting)
        done = state.get("done")
        if self._task is not None and isinstance(done, int):
            self._task.advance(done - self._done)
            self._done = done

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(read_regular(self._path, _LARGEST))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}
