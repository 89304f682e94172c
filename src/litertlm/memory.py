"""How much memory this machine has for a model."""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

from litertlm.errors import NotEnoughResources
from litertlm.units import format_bytes

_PROGRAM_BYTES = 300_000_000  # Python, the runtime and activations (measured: 250 MB)


def memory_to_run(weights: int, kv_cache: int = 0) -> int:
    """Bytes of memory that running a model takes.

    Args:
        weights: bytes of the bundle.
        kv_cache: bytes of the caches at the default context.
    """
    return weights + kv_cache + _PROGRAM_BYTES


def check_address_space() -> None:
    """Check for a limit (`ulimit -v`) at which numpy or another native library would crash.

    Raises:
        NotEnoughResources: with the numbers.
    """
    limit = _address_space()
    if limit is not None and limit < _PROGRAM_BYTES:
        raise NotEnoughResources(
            "Not enough memory to convert a model.",
            why=f"It needs about {format_bytes(_PROGRAM_BYTES)} of address space; the limit is "
            f"{format_bytes(limit)}.",
            hint="Raise the limit (ulimit -v).",
        )


def memory_limit() -> int | None:
    """Bytes that this process may use at most: of the machine, its control group and its
    address-space limit (`ulimit -v`), the least. None where the system does not tell."""
    limits = [_machine_memory(), _group_memory(), _address_space()]
    return min((n for n in limits if n is not None), default=None)


def free_memory() -> int | None:
    """Bytes that a new process could have now, caches that the system would give up included;
    None where the system does not tell."""
    limit, free = memory_limit(), None
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = int(next(x for x in lines if x.startswith("MemAvailable:")).split()[1]) * 1024
    return min((n for n in (limit, free) if n is not None), default=None)


def can_allocate(nbytes: int) -> bool:
    """Whether this process could have `nbytes` more memory now, which it does not take."""
    try:
        mmap.mmap(-1, nbytes).close()
    except (OSError, ValueError):
        return False
    return True


def resident_bytes() -> int | None:
    """Bytes of memory that this process has of its own, without files that it has mapped; None
    where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return None


def _machine_memory() -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _group_memory() -> int | None:
    """Of a container: control groups version 2 and 1."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (Path("/sys/fs/cgroup") / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return int(text)
    return None


def _address_space() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
