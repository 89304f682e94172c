"""Limits on this process that the kernel enforces, also while native code runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


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
    `MemoryError` and native code aborts. Windows has neither limit, macOS only the one on time.

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
        with _memory_limited(nbytes):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextmanager
def _memory_limited(nbytes: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
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
