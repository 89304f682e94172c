"""Capture what native code prints on file descriptor 2."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

# Stack traces and headings, which do not help a user.
_NOISE = re.compile(r"\s*(@ |Stack trace:|=== |third_party/|WARNING: Logging before)")


def informative_lines(printed: str) -> list[str]:
    """The lines of native code's output that are useful to a user."""
    lines = (line.rstrip() for line in printed.splitlines())
    return [line for line in lines if line and not _NOISE.match(line)]


@contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Send file descriptor 2 to a temporary file; the yielded function reads it so far.

    Native libraries write to the descriptor, not to `sys.stderr`. The text can also be read after
    the context has ended.
    """
    sys.stderr.flush()
    with anonymous_file() as file:
        text = ""

        def read() -> str:
            if file.closed:
                return text
            file.seek(0)
            return file.read().decode("utf-8", "replace")

        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield read
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            text = read()


def anonymous_file() -> IO[bytes]:
    """A file without a name, for what a process or native code prints."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    import tempfile  # 10 ms, for the random numbers in its names

    return tempfile.TemporaryFile()
