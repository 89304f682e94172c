"""Hashing and syncing a file while it is written."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from litertlm.store import files
from litertlm.store.files import hash_in_background


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "HASH_BLOCK", 1000)
    monkeypatch.setattr(files, "_SYNC_BLOCK", 3000)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 50_000])
def test_hash_of_a_file_that_grows(size: int, tmp_path: Path) -> None:
    data = random.Random(size).randbytes(size)
    path = tmp_path / "file"
    with hash_in_background(path) as file:
        with path.open("wb", buffering=0) as out:
            out.truncate(size)
            for start in range(0, size, 700):
                out.write(data[start : start + 700])
                file.mark_final(min(start + 700, size))
                file.mark_final(start)  # an earlier offset changes nothing
        file.finish()
        assert file.sha256() == hashlib.sha256(data).hexdigest()


def test_bytes_that_are_not_final_are_not_hashed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with hash_in_background(path) as file:
        with path.open("wb", buffering=0) as out:
            out.write(b"a" * 5000 + b"?" * 5000)
            file.mark_final(5000)
            out.seek(5000)
            out.write(b"b" * 5000)
        file.finish()
        assert file.sha256() == hashlib.sha256(b"a" * 5000 + b"b" * 5000).hexdigest()


def test_the_threads_end_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(9000))
    before = set(threading.enumerate())

    def interrupted() -> None:
        with hash_in_background(path) as file:
            file.mark_final(2000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_a_disk_that_does_not_take_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "file"
    path.write_bytes(bytes(9000))
    monkeypatch.setattr(os, "fsync", broken)
    with hash_in_background(path) as file:
        file.mark_final(4000)  # raised by sha256()
        file.finish()
        with pytest.raises(OSError, match="Input/output error"):
            file.sha256()


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    with hash_in_background(path) as file:
        file.mark_final(5000)
        file.finish()
        with pytest.raises(OSError, match="shorter"):
            file.sha256()
