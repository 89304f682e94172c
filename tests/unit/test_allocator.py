"""Blocks of memory get mappings of their own; the effect on answers is in docs/fidelity.md."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import sys
from litertlm.allocator import separate_large_blocks

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Info
if sys.argv[1] == "separate":
    separate_large_blocks()
# By default, glibc maps blocks of the size of a freed mapping, and smaller ones, no more.
libc.free(libc.malloc(16 << 20))
before = libc.mallinfo2().hblks
blocks = [libc.malloc(2 << 20) for _ in range(8)]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(("setting", "mapped"), [("separate", 8), ("default", 0)])
def test_blocks_are_mapped(setting: str, mapped: int) -> None:
    command = [sys.executable, "-c", PROGRAM, setting]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == mapped
