"""A test double of the file layer: every file operation of this process below a folder is an event.

`install` replaces the functions of `os` and `io.open` through which the program creates, writes,
syncs, renames, reads and removes files. Each call below the watched folder is passed to a
`Watcher` first, which may kill the process, let it go on, or raise an OSError in its place.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# Operations that need space on the disk. Of `open` only those that may create a file.
WRITES = frozenset({"create", "write", "truncate", "fsync", "rename", "link", "mkdir"})
READS = frozenset({"open", "read"})
_SHORT = frozenset({"write"})  # of which a part may be done


@dataclass(frozen=True)
class Event:
    """One file operation.

    Attributes:
        number: counts the events of this process from 0.
        kind: of `WRITES`, `READS`, or `remove`.
        path: absolute.
    """

    number: int
    kind: str
    path: str


class Watcher(Protocol):
    """What happens at an event."""

    def before(self, event: Event) -> None:
        """Called before the operation; an OSError takes its place."""

    def short(self, event: Event) -> bool:
        """Whether a write shall write only a half of its bytes."""

    def after(self, event: Event) -> None:
        """Called when the operation has been done."""


class Recorder:
    """Writes a line for each event: nanoseconds, kind, stage, path."""

    def __init__(self, file: Path, stage: Callable[[], str]) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._stage = stage

    def before(self, event: Event) -> None:
        line = f"{time.monotonic_ns()}\t{event.kind}\t{self._stage()}\t{event.path}\n"
        _write(self._file, line.encode())

    def short(self, event: Event) -> bool:
        return False

    def after(self, event: Event) -> None:
        pass


@dataclass(frozen=True)
class Kill:
    """kill -9 of this process.

    Attributes:
        event: the number of the event; -1 for the start of the process.
        moment: `before` the operation, in the `middle` of a write, or `after` it.
        delay: seconds, from a thread of its own, while the program goes on.
    """

    event: int
    moment: str
    delay: float = 0.0

    def begin(self) -> None:
        """Called when the process starts."""
        if self.event < 0:
            threading.Thread(target=self._later, daemon=True).start()

    def before(self, event: Event) -> None:
        if event.number == self.event and self.moment == "before":
            self._now()

    def short(self, event: Event) -> bool:
        return event.number == self.event and self.moment == "middle"

    def after(self, event: Event) -> None:
        if event.number != self.event or self.moment == "before":
            return
        if self.delay:
            threading.Thread(target=self._later, daemon=True).start()
        else:
            self._now()

    def _later(self) -> None:
        time.sleep(self.delay)
        self._now()

    def _now(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()  # it is another thread's turn to die


class Fault:
    """The k-th event of some kinds fails, and with `lasts` every later one too.

    Attributes:
        reached: the event that failed first.
    """

    def __init__(
        self, kinds: frozenset[str], k: int, number: int, *, lasts: bool, below: str = ""
    ) -> None:
        self._kinds = kinds
        self._left = k
        self._errno = number
        self._lasts = lasts
        self._below = below
        self._lock = threading.Lock()
        self.reached: Event | None = None

    def before(self, event: Event) -> None:
        if event.kind not in self._kinds or not event.path.startswith(self._below):
            return
        with self._lock:
            due = self._left == 0 or (self._lasts and self._left < 0)
            self._left -= 1
            if due and self.reached is None:
                self.reached = event
                self._note(event)
        if due:
            raise OSError(self._errno, os.strerror(self._errno), event.path)

    def _note(self, event: Event) -> None:
        pass

    def short(self, event: Event) -> bool:
        # The disk is full after this one: a part of it still fits.
        return self._lasts and self._left == 0 and event.kind in self._kinds

    def after(self, event: Event) -> None:
        pass


class NotedFault(Fault):
    """A fault that leaves a line in a file when it happens."""

    def __init__(self, note: Path, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._file = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def _note(self, event: Event) -> None:
        _write(self._file, f"{event.kind}\t{event.path}\n".encode())


REPLACED = (
    *("open", "pwrite", "write", "ftruncate", "fsync", "replace", "rename", "link", "mkdir"),
    *("rmdir", "unlink", "remove"),
)  # of os
_write = os.write
_real_open = os.open


def install(folder: Path, watcher: Watcher) -> None:
    """Watch all file operations below `folder`, which is absolute and without links."""
    layer = _Layer(str(folder), watcher)
    os.open = layer.os_open  # type: ignore[assignment]
    os.pwrite = layer.by_descriptor(os.pwrite, "write")  # type: ignore[assignment]
    os.write = layer.by_descriptor(os.write, "write")  # type: ignore[assignment]
    os.ftruncate = layer.by_descriptor(os.ftruncate, "truncate")
    os.fsync = layer.by_descriptor(os.fsync, "fsync")  # type: ignore[assignment]
    os.replace = layer.by_path(os.replace, "rename")
    os.rename = layer.by_path(os.rename, "rename")
    os.link = layer.by_path(os.link, "link", argument=1)
    os.mkdir = layer.by_path(os.mkdir, "mkdir")
    os.rmdir = layer.by_path(os.rmdir, "remove")
    os.unlink = layer.by_path(os.unlink, "remove")
    os.remove = layer.by_path(os.remove, "remove")
    io.open = builtins.open = layer.open  # type: ignore[assignment]


class _Layer:
    def __init__(self, folder: str, watcher: Watcher) -> None:
        self._folder = folder
        self._watcher = watcher
        self._count = 0
        self._lock = threading.Lock()

    def path_of(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The absolute path, when it is watched."""
        if isinstance(path, int):
            try:
                text = os.readlink(f"/proc/self/fd/{path}")
            except OSError:
                return None
        else:
            text = os.fsdecode(path)
            if dir_fd is not None:
                text = os.path.join(self.path_of(dir_fd) or "", text)
            text = os.path.abspath(text)
        return text if text == self._folder or text.startswith(self._folder + "/") else None

    def do(self, kind: str, path: str, action: Callable[[bool], Any]) -> Any:
        """Run `action` as an event; it is told whether to do only a part."""
        with self._lock:
            event = Event(self._count, kind, path)
            self._count += 1
        self._watcher.before(event)
        result = action(kind in _SHORT and self._watcher.short(event))
        self._watcher.after(event)
        return result

    def by_descriptor(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def call(fd: Any, *arguments: Any) -> Any:
            path = self.path_of(fd)
            if path is None:
                return function(fd, *arguments)

            def act(short: bool) -> Any:
                if short:
                    data, *rest = arguments
                    return function(fd, _half(data), *rest)
                return function(fd, *arguments)

            return self.do(kind, path, act)

        return call

    def by_path(
        self, function: Callable[..., Any], kind: str, argument: int = 0
    ) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            path = self.path_of(arguments[argument], named.get("dir_fd"))
            if path is None:
                return function(*arguments, **named)
            return self.do(kind, path, lambda short: function(*arguments, **named))

        return call

    def os_open(self, path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
        watched = self.path_of(path, named.get("dir_fd"))
        if watched is None or os.path.isdir(watched):
            return _real_open(path, flags, mode, **named)
        kind = "create" if flags & (os.O_CREAT | os.O_TRUNC) else "open"
        done: int = self.do(kind, watched, lambda short: _real_open(path, flags, mode, **named))
        return done

    def open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        path = None if opener else self.path_of(file)
        if path is None:
            return _io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        writes = any(letter in mode for letter in "wax+")
        plain = mode.replace("b", "").replace("t", "")
        raw = self.do(
            "create" if writes else "open",
            path,
            lambda short: _WatchedFile(self, path, file, plain, closefd),
        )
        if buffering == 0:
            return raw
        buffered: Any
        if "+" in mode:
            buffered = io.BufferedRandom(raw)
        else:
            buffered = io.BufferedWriter(raw) if writes else io.BufferedReader(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline)


_io_open = io.open


class _WatchedFile(io.FileIO):
    def __init__(self, layer: _Layer, path: str, file: Any, mode: str, closefd: bool) -> None:
        super().__init__(file, mode, closefd)
        self._layer = layer
        self._path = path

    def write(self, data: Any) -> int:
        done: int = self._layer.do(
            "write",
            self._path,
            lambda short: super(_WatchedFile, self).write(_half(data) if short else data),
        )
        return done

    def readinto(self, buffer: Any) -> int:
        done: int = self._layer.do(
            "read", self._path, lambda short: super(_WatchedFile, self).readinto(buffer)
        )
        return done

    def read(self, size: int | None = -1) -> bytes:
        done: bytes = self._layer.do(
            "read", self._path, lambda short: super(_WatchedFile, self).read(size)
        )
        return done

    def readall(self) -> bytes:
        done: bytes = self._layer.do(
            "read", self._path, lambda short: super(_WatchedFile, self).readall()
        )
        return done

    def truncate(self, size: int | None = None) -> int:
        done: int = self._layer.do(
            "truncate", self._path, lambda short: super(_WatchedFile, self).truncate(size)
        )
        return done


def _half(data: Any) -> memoryview:
    view = memoryview(data).cast("B")
    return view[: len(view) // 2]


def kill_plan(random_numbers: random.Random, event: int, kind: str, gap: float) -> Kill:
    """A kill at an event, at one of the moments that it has.

    Args:
        gap: seconds to the next event, in a run without a kill.
    """
    moments = ["before", "after", "later", "later"] + ["middle"] * (kind in _SHORT)
    moment = random_numbers.choice(moments)
    if moment == "later":
        return Kill(event, "after", random_numbers.uniform(0, gap))
    return Kill(event, moment)


ENOSPC, EIO = errno.ENOSPC, errno.EIO
