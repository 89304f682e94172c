"""Files on the disk: hashing a range of one, and waiting until one is written."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

HASH_BLOCK = 4 << 20
"""Bytes that are hashed at once. Between two blocks a thread may have to wait for the interpreter,
which another thread uses: so they are few."""


class Digest(Protocol):
    """A hash of `hashlib`."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


_SEEKING = threading.Lock()


def pread(descriptor: int, size: int, offset: int) -> bytes:
    """`os.pread`; where there is none, by seeking, one thread at a time."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)


def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
    """`os.pwrite`; where there is none, by seeking, one thread at a time."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, offset)
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


def hash_buffer(size: int = HASH_BLOCK) -> memoryview:
    """A buffer for `update_hash`."""
    return memoryview(bytearray(size))


def update_hash(digest: Digest, path: Path, start: int, stop: int, buffer: memoryview) -> None:
    """Feed bytes `[start, stop)` of a file into `digest`.

    Raises:
        OSError: the file cannot be read, or ends before `stop`.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < stop:
            size = file.readinto(buffer[: stop - start])
            if not size:
                raise OSError(f"{path} became shorter while it was read")
            digest.update(buffer[:size])
            start += size


BINARY = getattr(os, "O_BINARY", 0)
"""Of `os.open`: without it, Windows writes two bytes for each line feed."""


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk (fsync).

    Windows cannot open a folder, and syncs only files that are open for writing.
    """
    windows = os.name == "nt"
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
