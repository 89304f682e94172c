"""Download files from the Hub to a folder: resumed, verified, and renamed only when complete.

A file is written to `.download/<hash>-<size>-<name>.part` in the folder (part.py) by several
connections (transfer.py) and renamed when its size and hash match those of the Hub. Parts are named
by content, so a new commit cannot continue an old commit's part; parts that do not belong to the
plan are removed at the start.
(`hf_hub_download` does not resume after a kill and leaves its temporary files behind:
huggingface_hub 2.4, `_download_to_tmp_and_move`.)
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from litertlm.disk import hash_buffer, sync_to_disk, update_hash
from litertlm.hub.cache import cached_file
from litertlm.hub.client import HubClient
from litertlm.hub.connections import Jobs
from litertlm.hub.failures import offline_error
from litertlm.hub.info import RepoFile, RepoInfo, check_case_conflicts
from litertlm.hub.part import BLOCKS_SUFFIX, Part, received_bytes
from litertlm.hub.transfer import HASH_BLOCK, Transfer, matches_hash, new_digest
from litertlm.progress import Progress, Task

PARTS_FOLDER = ".download"


def download(
    client: HubClient | None,
    info: RepoInfo,
    files: Sequence[RepoFile],
    folder: Path,
    progress: Progress,
    *,
    before_rename: Callable[[Path], None] = lambda part: None,
) -> list[Path]:
    """Download `files` at `info.commit` to `folder`, under their names without folders.

    Files that exist already, or are in huggingface_hub's cache, are verified and used; without a
    client, only those.

    Args:
        before_rename: called with each new file, complete and verified, before it is renamed.

    Raises:
        NetworkError: the network failed repeatedly, or the received file is not the listed one.
        UnsupportedModel: two files would get the same name.
    """
    check_case_conflicts(info, files)
    parts = folder / PARTS_FOLDER
    parts.mkdir(parents=True, exist_ok=True)
    _remove_unknown(parts, {_part_name(info, file) for file in files})
    to_fetch = sum(_to_fetch(info, file, folder) for file in files)
    if there := sum(file.size for file in files) - to_fetch:
        progress.detail(f"{there:,} bytes are on disk already.")
    jobs = Jobs()

    def fetch(file: RepoFile, task: Task) -> None:
        target, path = folder / file.name, parts / _part_name(info, file)

        def finish() -> None:
            sync_to_disk(path)
            before_rename(path)
            os.replace(path, target)
            sync_to_disk(folder)

        if _matches(target, file):
            return
        if _take_cached(info, file, path):
            progress.detail(f"{file.path}: from the Hugging Face cache.")
            finish()
        elif client is None:
            raise offline_error()
        else:
            waiting = replace(client, sleep=jobs.stop.wait)
            part = Part(path, file.size)
            Transfer(waiting, info, file, part, task, jobs, finish).start()

    try:
        with progress.task(f"Downloading {info.repo}", to_fetch) as task:
            jobs.add(*(functools.partial(fetch, file, task) for file in files))
            jobs.run()
    finally:
        _remove_empty(parts)
    return [folder / file.name for file in files]


def missing_bytes(info: RepoInfo, files: Iterable[RepoFile], folder: Path) -> int:
    """How many more bytes `download` would write to the disk that `folder` is on."""
    return sum(_to_write(info, file, folder) for file in files)


def _to_fetch(info: RepoInfo, file: RepoFile, folder: Path) -> int:
    """Bytes that are neither in `folder` nor in the cache."""
    if cached_file(info.repo, info.commit, file.path) is not None:
        return 0
    part = folder / PARTS_FOLDER / _part_name(info, file)
    there = max(_size(folder / file.name), received_bytes(part, file.size))
    return max(0, file.size - there)


def _to_write(info: RepoInfo, file: RepoFile, folder: Path) -> int:
    cached = cached_file(info.repo, info.commit, file.path)
    if cached is not None and not _same_device(cached, folder):
        return file.size
    return _to_fetch(info, file, folder)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _same_device(path: Path, folder: Path) -> bool:
    """Whether a hard link from `folder` to `path` is possible."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    return path.stat().st_dev == existing.stat().st_dev


def _part_name(info: RepoInfo, file: RepoFile) -> str:
    content = file.sha256 or file.blob_id or info.commit
    return f"{content[:40]}-{file.size}-{file.name[-100:]}.part"


def _remove_unknown(parts: Path, known: Container[str]) -> None:
    for path in parts.iterdir():
        if path.name.removesuffix(BLOCKS_SUFFIX) not in known:
            path.unlink()


def _remove_empty(parts: Path) -> None:
    """Remove parts that cannot be resumed, and the folder if it is empty."""
    for part in parts.glob("*.part"):
        if part.is_symlink() or not _size(part):
            part.unlink(missing_ok=True)
    for record in parts.glob(f"*{BLOCKS_SUFFIX}"):
        if not record.with_suffix("").exists():
            record.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not empty
        parts.rmdir()


def _matches(path: Path, file: RepoFile) -> bool:
    """Whether the file at `path` has the listed size and hash."""
    if _size(path) != file.size or path.is_symlink():
        return False
    digest = new_digest(file)
    update_hash(digest, path, 0, file.size, hash_buffer(HASH_BLOCK))
    return matches_hash(digest, file)


def _take_cached(info: RepoInfo, file: RepoFile, part: Path) -> bool:
    """Link the file from huggingface_hub's cache to `part`, or copy it from another disk."""
    cached = cached_file(info.repo, info.commit, file.path)
    if cached is None or not _matches(cached, file):
        return False
    part.unlink(missing_ok=True)
    try:
        os.link(cached, part)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(cached, part)
    return True
