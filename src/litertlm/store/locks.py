"""One process at a time per model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from litertlm.progress import Progress


@contextlib.contextmanager
def locked(path: Path, waiting: str, progress: Progress) -> Iterator[None]:
    """Lock the file `path`. If another process has the lock, report `waiting` and wait for it.

    The kernel releases the lock when the process ends, in whatever way. The file itself is kept:
    removing it would let two processes lock two different files of one name.
    """
    from filelock import FileLock, Timeout  # imports asyncio, 60 ms

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress.status(waiting)
        lock.acquire(poll_interval=0.1)
    try:
        yield
    finally:
        lock.release()
