"""Settings of the C library's allocator (glibc). Other C libraries have none of them."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Keep the memory of freed blocks in the process, for conversions.

    glibc gives memory back as soon as a block of rows is done and faults it in again for the next
    one, which may take longer than the arithmetic.
    """
    _set(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
    _set(_M_TRIM_THRESHOLD, 256 << 20)


def _set(option: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):
            ctypes.CDLL(None).mallopt(option, value)
