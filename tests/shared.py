"""What is made once for all processes of a test run (pytest-xdist)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder `name`, filled by `make` in the first process that asks for it.

    The others wait for it. If it fails, the next process tries again. All only read it.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    complete = root / f"{name}.complete"
    with FileLock(root / f"{name}.lock"):
        if not complete.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            complete.touch()
    return folder
