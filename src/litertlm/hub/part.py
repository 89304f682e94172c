"""The unfinished file of a download, and how much of each of its blocks is there.

A file of one block grows at its end, so its length says how much is there. The blocks of a larger
file are written in any order; a file beside it, `<name>.blocks`, has 8 bytes per block: how many
bytes of it are there. It is written after the data, so a killed process loses only what it was
about to write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import ClassVar, Protocol

from litertlm.disk import Digest, hash_buffer, update_hash

HASH_BLOCK = 1 << 20
BLOCK_BYTES = 16 << 20
_MAX_BLOCKS = 256  # each costs a request to the Hub, which limits their rate
_COUNT_BYTES = 8
BLOCKS_SUFFIX = ".blocks"


def block_size(size: int) -> int:
    """Bytes of a block of a file with `size` bytes; the last block may be smaller."""
    return max(BLOCK_BYTES, -(-size // _MAX_BLOCKS))


def received_bytes(path: Path, size: int) -> int:
    """How many bytes of a file of `size` bytes an earlier run has written to `path`."""
    if not path.is_file() or path.is_symlink():
        return 0
    if size <= block_size(size):
        return path.stat().st_size
    return sum(_read_counts(path, size))


class Restarted(Exception):
    """The file must be downloaded a second time: what was read before may be wrong."""


@dataclass
class Part:
    """A file that is being downloaded; threads may write to different blocks at once.

    Attributes:
        path: of the unfinished file.
        size: of the complete file, in bytes.
        counts: bytes that are there, by block.
        resumable: whether it can be received a second time, in this run or another one.
    """

    path: Path
    size: int
    counts: list[int] = field(init=False)
    resumable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.path.is_symlink():
            self.path.unlink()
        single = self.size <= block_size(self.size)
        if single and self.path.exists() and self.path.stat().st_size > self.size:
            self.path.unlink()
        self.path.touch()
        if single:
            self.counts = [self.path.stat().st_size]
            return
        self.counts = _read_counts(self.path, self.size)
        if not any(self.counts):  # nothing can be resumed, or the record is damaged
            os.truncate(self.path, 0)
            record = _blocks_path(self.path)
            record.unlink(missing_ok=True)  # it may be a link
            record.write_bytes(bytes(_COUNT_BYTES * len(self.counts)))

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return sum(self.counts)

    @property
    def frontier(self) -> int:
        """Bytes from the beginning on without a gap."""
        whole = block_size(self.size)
        for index, count in enumerate(self.counts):
            if count < whole:
                return min(self.size, index * whole + count)
        return self.size

    def has(self, start: int, stop: int) -> bool:
        """Whether bytes `[start, stop)` are there."""
        whole = block_size(self.size)
        return all(
            index * whole + self.counts[index] >= min(stop, (index + 1) * whole)
            for index in range(start // whole, -(-stop // whole))
        )

    def missing(self, index: int) -> tuple[int, int]:
        """The range of bytes, end exclusive, that block `index` lacks."""
        start = index * block_size(self.size)
        return start + self.counts[index], min(self.size, start + block_size(self.size))

    def incomplete(self) -> list[int]:
        """The blocks that lack bytes."""
        return [
            index
            for index in range(len(self.counts))
            if self.missing(index)[0] < self.missing(index)[1]
        ]

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """A writer for one thread, with files of its own that are open until the block ends."""
        with ExitStack() as files:
            data = files.enter_context(self.path.open("r+b", buffering=0))
            record = None
            if len(self.counts) > 1:
                record = files.enter_context(_blocks_path(self.path).open("r+b", buffering=0))
            yield PartWriter(self, data, record)

    def reset(self) -> None:
        """Forget all that is there."""
        self.counts = [0] * len(self.counts)
        if len(self.counts) > 1:
            _blocks_path(self.path).write_bytes(bytes(_COUNT_BYTES * len(self.counts)))
        os.truncate(self.path, 0)

    def hash_into(self, digest: Digest, start: int, stop: int) -> None:
        """Hash bytes `[start, stop)`, which are there."""
        update_hash(digest, self.path, start, stop, hash_buffer(HASH_BLOCK))

    def close(self) -> None:
        """Remove the record of the blocks; the file is complete."""
        _blocks_path(self.path).unlink(missing_ok=True)


class Writer(Protocol):
    """What a thread writes a block with."""

    def write(self, offset: int, data: bytes) -> None:
        """Write `data`, which continues its block at `offset`; it may reach into the next ones."""


@dataclass(frozen=True)
class PartWriter:
    """Writes to a part.

    Attributes:
        data: the unfinished file.
        record: how much of each block is there; None for a file of one block.
    """

    part: Part
    data: FileIO
    record: FileIO | None

    def write(self, offset: int, data: bytes) -> None:
        """Write `data`, which continues its block at `offset`; it may reach into the next ones."""
        whole = block_size(self.part.size)
        _write_at(self.data, offset, data)
        end = offset + len(data)
        for index in range(offset // whole, -(-end // whole)):
            count = min(end, (index + 1) * whole) - index * whole
            self.set_count(index, max(count, self.part.counts[index]))

    def set_count(self, index: int, count: int) -> None:
        """Record that `count` bytes of a block are there."""
        self.part.counts[index] = count
        if self.record is not None:
            _write_at(self.record, index * _COUNT_BYTES, count.to_bytes(_COUNT_BYTES, "little"))


def _write_at(file: FileIO, offset: int, data: bytes) -> None:
    file.seek(offset)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _blocks_path(path: Path) -> Path:
    return path.with_name(path.name + BLOCKS_SUFFIX)


def _read_counts(path: Path, size: int) -> list[int]:
    """The record beside `path`; a new one if there is none, or it cannot be right."""
    whole = block_size(size)
    number = -(-size // whole)
    record = _blocks_path(path)
    data = record.read_bytes() if record.is_file() and not record.is_symlink() else b""
    counts = [
        int.from_bytes(data[at : at + _COUNT_BYTES], "little")
        for at in range(0, len(data), _COUNT_BYTES)
    ]
    there = path.stat().st_size if path.is_file() else 0
    possible = len(data) == number * _COUNT_BYTES and all(
        count <= whole and (not count or index * whole + count <= there)
        for index, count in enumerate(counts)
    )
    return counts if possible else [0] * number
