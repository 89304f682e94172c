"""A file that is received, hashed and read in memory, and never complete anywhere.

Blocks are dropped in their order as soon as they are hashed and nothing will read them any more. A
connection that is too far ahead waits.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from litertlm.disk import Digest
from litertlm.hub.part import Part, Restarted, block_size

CAPACITY = 128 << 20  # bytes, of one file
_WAIT_S = 0.1


@dataclass
class _Comparison:
    """Two ranges whose bytes should be equal, and their hashes as far as they were dropped."""

    ranges: tuple[tuple[int, int], tuple[int, int]]
    digests: tuple[Digest, Digest] = field(
        default_factory=lambda: (hashlib.sha256(), hashlib.sha256())
    )


class WindowPart(Part):
    """A `Part` in memory; a new run receives it from the beginning.

    Args:
        path: names it; nothing is there.
        size: of the complete file, in bytes.
        stop: set when no connection may wait any longer.
    """

    resumable = False

    def __init__(self, path: Path, size: int, stop: threading.Event) -> None:
        self.path, self.size = path, size
        self.counts = [0] * max(1, -(-size // block_size(size)))
        self._stop = stop
        self._blocks: dict[int, bytearray] = {}
        self._dropped = 0  # blocks
        self._hashed = 0
        self._passed = 0  # bytes
        self._comparisons: list[_Comparison] = []
        self._changed = threading.Condition()

    def has(self, start: int, stop: int) -> bool:
        """See `Part.has`.

        Raises:
            Restarted: some of these bytes were dropped, or cannot be there before others are.
        """
        whole = block_size(self.size)
        # What is read first can wait only for blocks that come without it.
        first = self._passed
        too_far = start <= first and stop > self._limit(max(0, first // whole - 1))
        if start < stop and (start < self._dropped * whole or too_far):
            raise Restarted
        return super().has(start, stop)

    def passed(self, offset: int) -> None:
        """Nothing before `offset` will be read any more, except the last block before it."""
        with self._changed:
            self._passed = max(self._passed, offset)
            self._drop()

    def compare(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        """Compare the bytes of two ranges while they are dropped; see `check`."""
        with self._changed:
            self._comparisons.append(_Comparison((one, other)))

    def check(self) -> None:
        """Check, at the end, that the ranges were equal.

        Raises:
            Restarted: they were not.
        """
        for comparison in self._comparisons:
            one, other = comparison.digests
            if self._dropped < len(self.counts) or one.hexdigest() != other.hexdigest():
                raise Restarted

    @contextmanager
    def writer(self) -> Iterator[WindowPart]:
        """See `Part.writer`."""
        yield self

    def write(self, offset: int, data: bytes) -> None:
        """See `PartWriter.write`; waits while the file is too far ahead of what reads it."""
        whole = block_size(self.size)
        view = memoryview(data)
        with self._changed:
            while view:
                while offset >= self._limit(self._dropped) and not self._stop.is_set():
                    self._changed.wait(_WAIT_S)
                index = offset // whole
                piece = view[: (index + 1) * whole - offset]
                self._blocks.setdefault(index, bytearray()).extend(piece)
                self.counts[index] += len(piece)
                offset, view = offset + len(piece), view[len(piece) :]

    def read_at(self, view: memoryview, offset: int) -> int:
        """Copy bytes that `has` has found; see `ReadAt`."""
        whole = block_size(self.size)
        index, within = divmod(offset, whole)
        with self._changed:
            if index not in self._blocks:
                raise Restarted
            data = self._blocks[index][within : within + len(view)]
        view[: len(data)] = data
        return len(data)

    def hash_into(self, digest: Digest, start: int, stop: int) -> None:
        """See `Part.hash_into`."""
        whole = block_size(self.size)
        while start < stop:
            index = start // whole
            end = min(stop, (index + 1) * whole)
            # A copy: another thread may append to the block. It is dropped only when it is hashed.
            data = self._blocks[index][start - index * whole : end - index * whole]
            digest.update(memoryview(data))
            start = end
        with self._changed:
            self._hashed = stop
            self._drop()

    def close(self) -> None:
        """See `Part.close`."""

    def _limit(self, dropped: int) -> int:
        """Where the window ends after so many blocks were dropped."""
        whole = block_size(self.size)
        return (dropped + max(3, CAPACITY // whole)) * whole

    def _drop(self) -> None:
        whole = block_size(self.size)
        passed = self._passed
        while self._dropped < len(self.counts):
            end = min(self.size, (self._dropped + 1) * whole)
            if self._hashed < end or (passed < self.size and passed < end + whole):
                break
            self._compare(self._blocks.pop(self._dropped, bytearray()), self._dropped * whole)
            self._dropped += 1
        self._changed.notify_all()

    def _compare(self, data: bytearray, start: int) -> None:
        for comparison in self._comparisons:
            for (begin, end), digest in zip(comparison.ranges, comparison.digests, strict=True):
                piece = data[max(0, begin - start) : max(0, end - start)]
                if piece:
                    digest.update(bytes(piece))
