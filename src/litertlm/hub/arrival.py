"""Files with weights that are read while they are downloaded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.disk import BINARY, pread
from litertlm.hub.part import Part

if TYPE_CHECKING:
    from litertlm.checkpoint import ReadAt


class Restarted(Exception):
    """The file is downloaded a second time: what was read before may be wrong."""


class Cancelled(Exception):
    """What the file is read for has failed."""


@dataclass(eq=False)
class ArrivingFile:
    """A file of which any range can be read, as soon as it is there (a `WeightFile`).

    What is read is not verified before the whole file is.

    Attributes:
        path: its final place.
        size: in bytes.
    """

    path: Path
    size: int
    _part: Part | None = field(init=False, default=None)
    _want: Callable[[int, int], None] = field(init=False, default=lambda start, stop: None)
    _descriptor: int | None = field(init=False, default=None)
    _complete: bool = field(init=False, default=False)
    _error: BaseException | None = field(init=False, default=None)
    _waiting: int = field(init=False, default=0)
    _changed: threading.Condition = field(init=False, default_factory=threading.Condition)

    def begin(self, part: Part, want: Callable[[int, int], None]) -> None:
        """The download has begun.

        Args:
            want: called with a range that is waited for.
        """
        with self._changed:
            self._open(part.path)
            self._part, self._want = part, want
            self._changed.notify_all()

    def complete(self, path: Path) -> None:
        """All of it is at `path`, and verified."""
        with self._changed:
            if self._descriptor is None:
                self._open(path)
            self._complete = True
            self._changed.notify_all()

    def received(self) -> None:
        """More of the part is there."""
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Nothing more can be read; the first reason counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what `fail` was called with: bytes that were read before may be wrong."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """No thread reads any more."""
        with self._changed:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    @contextmanager
    def reading(self, start: int, stop: int) -> Iterator[ReadAt]:
        """See `WeightFile.reading`.

        Raises:
            Restarted: the file had a wrong hash. Others: as the download.
        """
        self._wait(start, stop)
        yield self._read

    def _wait(self, start: int, stop: int) -> None:
        wanted = False
        with self._changed:
            while self._error is None and not self._has(start, stop):
                if self._part and not wanted:
                    wanted = True
                    self._want(start, stop)
                self._waiting += 1
                try:
                    self._changed.wait()
                finally:
                    self._waiting -= 1
            self.check()

    def _has(self, start: int, stop: int) -> bool:
        return self._complete or (self._part is not None and self._part.has(start, stop))

    def _open(self, path: Path) -> None:
        # Open until the end: the file is renamed meanwhile.
        self._descriptor = os.open(path, os.O_RDONLY | BINARY)

    def _read(self, view: memoryview, offset: int) -> int:
        assert self._descriptor is not None
        data = pread(self._descriptor, len(view), offset)
        view[: len(data)] = data
        return len(data)
