"""Settings of the C library's allocator (glibc). Other C libraries have none of them."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_PAGE = 4096


def keep_freed_memory() -> None:
    """Keep the memory of freed blocks in the process, for conversions.

    glibc gives memory back as soon as a block of rows is done and faults it in again for the next
    one, which may take longer than the arithmetic.
    """
    _set(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
    _set(_M_TRIM_THRESHOLD, 256 << 20)


def separate_large_blocks() -> None:
    """Give every block of a page or more a mapping of its own, for the runtime.

    A dynamic KV cache that grows is allocated again. In litert-lm-api 0.18.1, later sessions of an
    engine can then give wrong answers, probably if the new block has the address of an earlier
    cache (docs/fidelity.md). An address on the heap is used again soon, that of a mapping hardly
    ever. No difference in speed was measured.

    It replaces the first setting of `keep_freed_memory`.
    """
    _set(_M_MMAP_THRESHOLD, _PAGE)


def _set(option: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):
            ctypes.CDLL(None).mallopt(option, value)
