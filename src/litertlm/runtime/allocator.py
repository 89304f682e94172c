"""A setting of the C library's allocator that the runtime needs for right answers."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # malloc.h of glibc
_PAGE = 4096


def separate_large_blocks() -> None:
    """Give every block of a page or more a mapping of its own (glibc).

    A dynamic KV cache that grows is allocated again. In litert-lm-api 0.18.1, later sessions of an
    engine can then give wrong answers, probably if the new block has the address of an earlier
    cache (docs/fidelity.md). An address on the heap is used again soon, that of a mapping hardly
    ever. No difference in speed was measured.
    """
    if sys.platform != "linux":
        return
    with suppress(AttributeError):  # other C libraries have no such setting
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _PAGE)
