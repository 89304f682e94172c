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
from litertlm.hub.window import WindowPart

if TYPE_CHECKING:
    from litertlm.checkpoint import ReadAt


class Cancelled(Exception):
    """What the file is read for has failed."""


@dataclass(eq=False)
class ArrivingFile:
    """A file of which any range can be read, as soon as it is there (a `WeightFile`).

    What is read is not verified before the whole file is.

    Attributes:
        path: its final place.
        size: in bytes.
        head: its beginning, if that was read before. The conversion's plan needs it from all
            files, before it reads, and so frees, the first weights.
    """

    path: Path
    size: int
    head: bytes = b""
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
            if not isinstance(part, WindowPart):
                self._open(part.path)
            self._part, self._want = part, want
            self._changed.notify_all()

    def complete(self, path: Path) -> None:
        """All of it is verified, and at `path` unless it is only in memory."""
        with self._changed:
            if self._part is None:
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

    def passed(self, offset: int) -> None:
        """Nothing before `offset` will be read any more."""
        if isinstance(self._part, WindowPart):
            self._part.passed(offset)

    def will_compare(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """See `WeightFile.will_compare`."""
        if not isinstance(self._part, WindowPart):
            return False
        self._part.compare(one, other)
        return True

    def check(self) -> None:
        """Check that the bytes that were read are those of the complete file.

        Raises:
            Restarted: they may not be. Others: as `fail`.
        """
        if self._error is not None:
            raise self._error
        if self._complete and isinstance(self._part, WindowPart):
            self._part.check()

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
        if stop <= len(self.head):
            yield self._read_head
        else:
            self._wait(start, stop)
            yield self._read

    def _wait(self, start: int, stop: int) -> None:
        wanted = False
        with self._changed:
            # Counted before the first look: `received` notifies only those who are counted.
            self._waiting += 1
            try:
                while self._error is None and not self._has(start, stop):
                    if self._part and not wanted:
                        wanted = True
                        self._want(start, stop)
                    self._changed.wait()
            finally:
                self._waiting -= 1
            if self._error is not None:
                raise self._error

    def _has(self, start: int, stop: int) -> bool:
        if self._part is not None:
            return self._part.has(start, stop)
        return self._complete

    def _open(self, path: Path) -> None:
        # Open until the end: the file is renamed meanwhile.
        self._descriptor = os.open(path, os.O_RDONLY | BINARY)

    def _read_head(self, view: memoryview, offset: int) -> int:
        data = self.head[offset : offset + len(view)]
        view[: len(data)] = data
        return len(data)

    def _read(self, view: memoryview, offset: int) -> int:
        if isinstance(self._part, WindowPart):
            return self._part.read_at(view, offset)
        assert self._descriptor is not None
        data = pread(self._descriptor, len(view), offset)
        view[: len(data)] = data
        return len(data)
