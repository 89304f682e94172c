"""Limits on this process, which the kernel enforces where it can, also while native code runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_WATCH_SECONDS = 0.02


@dataclass(frozen=True)
class TemplateLimits:
    """Limits on one use of a chat template from outside.

    Attributes:
        seconds: of processor time; to adapt a template takes 0.05 s.
        memory: bytes.
        length: characters of a prompt; the default is more than any context can hold.
    """

    seconds: float = 10.0
    memory: int = 1 << 30
    length: int = 32_000_000


@contextmanager
def limited(seconds: float, nbytes: int) -> Iterator[None]:
    """Inside the context, this process may use so much processor time and more memory.

    After `seconds`, SIGPROF ends the process. Where there is no more memory, Python raises
    `MemoryError` and native code aborts. Only Linux enforces a limit of memory; elsewhere a thread
    watches it (`memory_watched`). Windows has neither.

    Args:
        seconds: of processor time, of all threads; waiting does not count.
        nbytes: of address space, beyond what the process has now.
    """
    if sys.platform == "win32":
        yield
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        with _memory_limited(nbytes) if sys.platform == "linux" else memory_watched(nbytes):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def _memory_limited(nbytes: int) -> Iterator[None]:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + nbytes
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def memory_watched(nbytes: int) -> Iterator[None]:
    """End this process when its peak memory grows by more than `nbytes` inside the context.

    For systems whose kernel does not enforce RLIMIT_AS and RLIMIT_DATA (macOS). A thread cannot
    interrupt native code that keeps Python's lock, such as the repetition of a text; it ends the
    process afterwards.
    """
    end, limit = threading.Event(), _peak_memory() + nbytes

    def watch() -> None:
        while not end.wait(_WATCH_SECONDS):
            if _peak_memory() > limit:
                os.write(2, b"MemoryError\n")  # which the parent reads
                os._exit(1)

    threading.Thread(target=watch, name="memory", daemon=True).start()
    try:
        yield
    finally:
        end.set()


def _peak_memory() -> int:
    """Bytes of memory that this process had at most."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
