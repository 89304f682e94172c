"""Files that appear whole or not at all; hashes; the size and removal of folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

# Between two blocks a thread may have to wait for Python, which another one uses: few blocks.
_HASHED_AT_ONCE = 4 << 20

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


@contextlib.contextmanager
def settling(path: Path) -> Iterator[Future[str]]:
    """Sync and hash the file `path` while the body of the `with` runs, which may read it.

    Yields the future of its `file_sha256`.

    Raises:
        OSError: at the end of the body; the disk did not take the file.
    """
    from concurrent.futures import ThreadPoolExecutor  # `list` and the like must start at once

    pool = ThreadPoolExecutor(2)
    try:
        synced, sha256 = pool.submit(_sync, path), pool.submit(file_sha256, path)
        yield sha256
        synced.result()
    finally:
        pool.shutdown(wait=False)  # Ctrl-C need not wait for the end of a large file


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
