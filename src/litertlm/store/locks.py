"""One process at a time per model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from litertlm.progress import Progress
from litertlm.store.files import TEMPORARY_SUFFIX
from litertlm.store.shared_progress import Follower, SharedProgress

_LOOK_SECONDS = 0.3  # between two looks at what the other process does


@contextlib.contextmanager
def locked(path: Path, waiting: str, progress: Progress) -> Iterator[None]:
    """Lock the file `path`. If another process has the lock, report `waiting`, and wait for it
    while its progress is shown.

    The kernel releases the lock when the process ends, in whatever way. The file itself is kept:
    removing it would let two processes lock two different files of one name.
    """
    from filelock import FileLock, Timeout  # imports asyncio, 60 ms

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    shared = path.with_suffix(".progress")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress.status(waiting)
        with Follower(shared, progress) as other:
            while not lock.is_locked:
                other.update()
                with contextlib.suppress(Timeout):
                    lock.acquire(timeout=_LOOK_SECONDS, poll_interval=0.1)
    try:
        for left in (shared, *path.parent.glob(f".{shared.name}.*{TEMPORARY_SUFFIX}")):
            left.unlink(missing_ok=True)  # by an owner that was killed
        with contextlib.ExitStack() as stack:
            if isinstance(progress, SharedProgress):
                stack.enter_context(progress.share(shared))
            yield
    finally:
        lock.release()
