"""Files that appear whole or not at all; hashes; the size and removal of folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Between two blocks a thread may have to wait for Python, which another one uses: few blocks.
_HASHED_AT_ONCE = 4 << 20
_SYNCED_AT_ONCE = 32 << 20

TEMPORARY_SUFFIX = ".tmp"  # of hidden files: `.<final name>.<process id>.tmp`


def temporary_path(target: Path) -> Path:
    """A name beside `target` that `is_temporary` knows and no other process uses."""
    return target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


def is_temporary(path: Path) -> bool:
    """Whether `path` is an unfinished file or folder of this program."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to be written by the body of the `with`.

    When the body ends well, the file is synced and renamed to `target`; when it raises,
    the temporary file is removed and `target` is what it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(target)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Settling:
    """A file that is hashed and sent to the disk while it is written, from its beginning on.

    Otherwise the disk would idle until the file is whole, and the hash would only begin then.
    """

    def __init__(self, path: Path, pool: Executor) -> None:
        self._path = path
        self._final = 0
        self._whole = self._stopped = False
        self._changed = threading.Condition()
        self._hashed = pool.submit(self._hash)
        self._synced = pool.submit(self._sync)

    def final(self, end: int) -> None:
        """Nothing before the offset `end` will change. May be called by any thread."""
        with self._changed:
            if end > self._final:
                self._final = end
                self._changed.notify_all()

    def whole(self) -> None:
        """Nothing at all will change."""
        with self._changed:
            self._final = max(self._final, self._path.stat().st_size)
            self._whole = True
            self._changed.notify_all()

    def sha256(self) -> str:
        """Wait for the disk and the hash of the whole file, hexadecimal.

        Raises:
            OSError: the disk did not take the file.
        """
        self._synced.result()
        return self._hashed.result()

    def stop(self) -> None:
        """Let go of the file, whatever is left to do."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self, position: int, least: int) -> int | None:
        """Wait until `least` bytes after `position`, or the last ones, are final: where they end.

        None when there are none left."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or self._whole or self._final >= position + least
            )
            return None if self._stopped or self._final == position else self._final

    def _hash(self) -> str:
        digest, position = hashlib.sha256(), 0
        buffer = memoryview(bytearray(_HASHED_AT_ONCE))
        while (end := self._next(position, _HASHED_AT_ONCE)) is not None:
            with self._path.open("rb", buffering=0) as file:
                file.seek(position)
                while position < end:
                    size = file.readinto(buffer[: end - position])
                    if not size:
                        raise OSError(f"{self._path} became shorter while it was written")
                    digest.update(buffer[:size])
                    position += size
        return digest.hexdigest()

    def _sync(self) -> None:
        position = 0
        while (end := self._next(position, _SYNCED_AT_ONCE)) is not None:
            _sync(self._path)
            position = end


@contextlib.contextmanager
def settling(path: Path) -> Iterator[Settling]:
    """Hash and sync the file `path` beside the body of the `with`, which writes it."""
    from concurrent.futures import ThreadPoolExecutor  # `list` and the like must start at once

    pool = ThreadPoolExecutor(2)
    file = Settling(path, pool)
    try:
        yield file
    finally:
        file.stop()
        pool.shutdown(wait=False)  # Ctrl-C need not wait for the disk


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_HASHED_AT_ONCE))
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def write_whole(target: Path, data: bytes) -> None:
    """Write `data` so that `target` never holds a part of it."""
    with appearing(target) as temporary:
        temporary.write_bytes(data)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 when there is nothing."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    return sum(
        (Path(folder) / file).lstat().st_size
        for folder, _, files in os.walk(path)
        for file in files
    )


def remove(path: Path) -> int:
    """Remove a file or a folder with all that is in it; returns the bytes freed."""
    freed = size_of(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return freed


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
