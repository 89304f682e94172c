"""Atomic writes, hashes while a file is written, and the size and removal of folders."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.disk import HASH_BLOCK, hash_buffer, sync_to_disk, update_hash

if TYPE_CHECKING:
    from concurrent.futures import Executor

_SYNC_BLOCK = 32 << 20

TEMPORARY_SUFFIX = ".tmp"  # of hidden files: `.<final name>.<process id>.tmp`


def temporary_path(target: Path) -> Path:
    """A name beside `target` that `is_temporary` knows and no other process uses."""
    return target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


def is_temporary(path: Path) -> bool:
    """Whether `path` is an unfinished file or folder of this program."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to be written by the body of the `with`.

    When the body succeeds, the file is synced and renamed to `target`; when it raises, the
    temporary file is removed and `target` is unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temp_path = temporary_path(target)
    try:
        yield temp_path
        sync_to_disk(temp_path)
        os.replace(temp_path, target)
        sync_to_disk(target.parent)
    except BaseException:
        temp_path.unlink(missing_ok=True)
        raise


class BackgroundHasher:
    """Hashes a file and syncs it to the disk while it is written, from its beginning on.

    Otherwise the disk would idle until the last byte is written, and hashing would start then.
    """

    def __init__(self, path: Path, pool: Executor) -> None:
        self._path = path
        self._final_end = 0
        self._written = 0
        self._finished = self._stopped = False
        self._changed = threading.Condition()
        self._hashed = pool.submit(self._hash)
        self._synced = pool.submit(self._sync)

    def mark_final(self, end: int) -> None:
        """Nothing before the offset `end` will change. May be called by any thread."""
        with self._changed:
            if end > self._final_end:
                self._final_end = end
                self._changed.notify_all()

    def mark_written(self, nbytes: int) -> None:
        """`nbytes` more were written, anywhere in the file: it is time to sync them. May be called
        by any thread."""
        with self._changed:
            self._written += nbytes
            self._changed.notify_all()

    def finish(self) -> None:
        """The file is complete."""
        with self._changed:
            self._final_end = max(self._final_end, self._path.stat().st_size)
            self._finished = True
            self._changed.notify_all()

    def sha256(self) -> str:
        """Wait until the file is on the disk; its hash, hexadecimal.

        Raises:
            OSError: the file could not be written to the disk, or became shorter.
        """
        self._synced.result()
        return self._hashed.result()

    def stop(self) -> None:
        """Stop both threads, whatever is left to do."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next_end(self, position: int, least: int) -> int | None:
        """Wait until `least` bytes after `position`, or the last ones, are final: where they end.

        None when there are none left."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or self._finished or self._final_end >= position + least
            )
            return None if self._stopped or self._final_end == position else self._final_end

    def _hash(self) -> str:
        digest, position = hashlib.sha256(), 0
        buffer = hash_buffer(HASH_BLOCK)
        while (end := self._next_end(position, HASH_BLOCK)) is not None:
            update_hash(digest, self._path, position, end, buffer)
            position = end
        return digest.hexdigest()

    def _sync(self) -> None:
        synced = 0
        while (written := self._next_written(synced)) is not None:
            sync_to_disk(self._path)
            synced = written

    def _next_written(self, synced: int) -> int | None:
        """Wait until enough was written since; how much that is in all. None at the end."""

        def most() -> int:
            return max(self._written, self._final_end)

        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or self._finished or most() >= synced + _SYNC_BLOCK
            )
            return None if self._stopped or most() == synced else most()


@contextlib.contextmanager
def hash_in_background(path: Path) -> Iterator[BackgroundHasher]:
    """Hash and sync the file `path` while the body of the `with` writes it."""
    from concurrent.futures import ThreadPoolExecutor  # `list` and the like must start at once

    pool = ThreadPoolExecutor(2)
    hasher = BackgroundHasher(path, pool)
    try:
        yield hasher
    finally:
        hasher.stop()
        pool.shutdown(wait=False)  # Ctrl-C need not wait for the disk


def read_regular(path: Path, limit: int = 16_000_000) -> bytes:
    """The bytes of a small file. A pipe would block the reader, and a device may have no end.

    Raises:
        OSError: it cannot be read, is not a regular file, or has more than `limit` bytes.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit:,} bytes", str(path))
    return path.read_bytes()


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    update_hash(digest, path, 0, path.stat().st_size, hash_buffer())
    return digest.hexdigest()


def copy_hashed(source: Path, target: Path, size: int, advance: Callable[[int], None]) -> str:
    """Copy the first `size` bytes of a file; returns their SHA-256, hexadecimal.

    Args:
        advance: called with the number of bytes that were copied since the last call.

    Raises:
        OSError: a file cannot be read or written, or `source` is shorter.
    """
    digest, buffer = hashlib.sha256(), hash_buffer()
    with source.open("rb", buffering=0) as old, target.open("wb") as new:
        left = size
        while left:
            count = old.readinto(buffer[:left])
            if not count:
                raise OSError(f"{source} became shorter while it was read")
            digest.update(buffer[:count])
            new.write(buffer[:count])
            left -= count
            advance(count)
    return digest.hexdigest()


def atomic_write_bytes(target: Path, data: bytes) -> None:
    """Write `data` so that `target` never has a part of it."""
    with atomic_write(target) as temp_path:
        temp_path.write_bytes(data)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 when there is nothing.

    Another process may remove files at the same time.
    """
    total = 0
    files = [path]
    if path.is_dir():
        files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total


def remove(path: Path) -> int:
    """Remove a file, or a folder with everything in it; returns the bytes freed."""
    freed = size_of(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return freed
