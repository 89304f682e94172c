"""Download files from the Hub to a folder: resumed, verified, and renamed only when complete.

A file is written to `.download/<hash>-<size>-<name>.part` in the folder and renamed when its size
and hash match those of the Hub. Parts are named by content, so a new commit cannot continue an old
commit's part; parts that do not belong to the plan are removed at the start.
(`hf_hub_download` does not resume after a kill and leaves its temporary files behind:
huggingface_hub 2.4, `_download_to_tmp_and_move`.)
"""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from litertlm.disk import Digest, hash_buffer, sync_to_disk, update_hash
from litertlm.errors import NetworkError
from litertlm.hub.cache import cached_file
from litertlm.hub.client import HubClient
from litertlm.hub.failures import TooSlow, Transient, offline_error
from litertlm.hub.info import RepoFile, RepoInfo, check_case_conflicts
from litertlm.hub.pace import Pace
from litertlm.progress import Progress, Task

PARTS_FOLDER = ".download"
_BLOCK = 1 << 20
_CONNECTIONS = 4  # small files cost round trips; one connection rarely uses all bandwidth


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

    def fetch(file: RepoFile) -> None:
        target, part = folder / file.name, parts / _part_name(info, file)
        if _matches(target, file):
            return
        if _take_cached(info, file, part):
            progress.detail(f"{file.path}: from the Hugging Face cache.")
        elif client is None:
            raise offline_error()
        else:
            _fetch(replace(client, sleep=stop.wait), info, file, part, task, stop)
        sync_to_disk(part)
        before_rename(part)
        os.replace(part, target)
        sync_to_disk(folder)

    stop = threading.Event()
    try:
        with progress.task(f"Downloading {info.repo}", to_fetch) as task:
            _run_all([functools.partial(fetch, file) for file in files], stop)
    finally:
        _remove_empty(parts)
    return [folder / file.name for file in files]


def _run_all(jobs: Iterable[Callable[[], None]], stop: threading.Event) -> None:
    """Run jobs on a few threads. The first error, or an interruption, stops all and is raised.

    The threads are daemons: one that waits for a server must not delay the program's exit.
    """
    waiting = collections.deque(jobs)
    errors: list[BaseException] = []

    def work() -> None:
        while not stop.is_set():
            try:
                job = waiting.popleft()
            except IndexError:
                return
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
                stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=0.25)
    if errors:
        raise errors[0]


class _Stopped(Exception):
    """Another file failed, or the user interrupted."""


def missing_bytes(info: RepoInfo, files: Iterable[RepoFile], folder: Path) -> int:
    """How many more bytes `download` would write to the disk that `folder` is on."""
    return sum(_to_write(info, file, folder) for file in files)


def _to_fetch(info: RepoInfo, file: RepoFile, folder: Path) -> int:
    """Bytes that are neither in `folder` nor in the cache."""
    if cached_file(info.repo, info.commit, file.path) is not None:
        return 0
    there = max(_size(folder / file.name), _size(folder / PARTS_FOLDER / _part_name(info, file)))
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
        if path.name not in known:
            path.unlink()


def _remove_empty(parts: Path) -> None:
    """Remove parts that cannot be resumed, and the folder if it is empty."""
    for part in parts.iterdir():
        if part.is_symlink() or not _size(part):
            part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not empty
        parts.rmdir()


def _digest(file: RepoFile) -> Digest:
    """The hash that the Hub lists for the file: SHA-256, or git's for a blob."""
    if file.sha256 is not None:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _matches_hash(digest: Digest, file: RepoFile) -> bool:
    expected = file.sha256 or file.blob_id
    return expected is None or digest.hexdigest() == expected


def _matches(path: Path, file: RepoFile) -> bool:
    """Whether the file at `path` has the listed size and hash."""
    if _size(path) != file.size or path.is_symlink():
        return False
    digest = _digest(file)
    update_hash(digest, path, 0, file.size, hash_buffer(_BLOCK))
    return _matches_hash(digest, file)


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


def _fetch(
    client: HubClient,
    info: RepoInfo,
    file: RepoFile,
    part: Path,
    task: Task,
    stop: threading.Event,
) -> None:
    """Download a file to `part`, resuming it; a second time from the start if the hash is
    wrong.

    Raises:
        NetworkError: the network failed repeatedly, or the hash is wrong both times.
    """
    for _ in range(2):
        digest = _digest(file)
        resumed = _resume(part, file, digest)
        size = _fetch_rest(client, info, file, part, digest, resumed, task, stop)
        if _matches_hash(digest, file):
            return
        part.unlink()
        task.advance(resumed - size)
    raise NetworkError(
        f"The hash of {file.path} of {info.repo} is wrong.",
        why=f"It was downloaded twice; the Hub lists the hash {file.sha256 or file.blob_id}.",
        hint="A proxy changes the file, or the Hub's copy is damaged.",
    )


def _resume(part: Path, file: RepoFile, digest: Digest) -> int:
    """Hash the bytes of `part` that an earlier run has written; returns how many."""
    if part.is_symlink() or _size(part) > file.size:
        part.unlink()
    if not part.exists():
        part.touch()
    size = _size(part)
    update_hash(digest, part, 0, size, hash_buffer(_BLOCK))
    return size


def _fetch_rest(
    client: HubClient,
    info: RepoInfo,
    file: RepoFile,
    part: Path,
    digest: Digest,
    size: int,
    task: Task,
    stop: threading.Event,
) -> int:
    """Append bytes `size` to `file.size`.

    Retries are counted from the last received byte; those of a slow download from the last time
    that it was fast enough.
    """
    tried, pace = 0, Pace(client.min_speed, client.slow_window_s)
    with part.open("ab") as output:
        while size < file.size:
            before = size
            try:
                for block in _body(client, info, file, size):
                    if stop.is_set():
                        raise _Stopped
                    output.write(block)
                    output.flush()  # so that a killed download can be resumed
                    digest.update(block)
                    size += len(block)
                    task.advance(len(block))
                    if size < file.size:
                        pace.received(len(block))
            except TooSlow as failure:
                with pace.paused():
                    client.pause(failure, pace.slow_windows)
            except Transient as failure:
                tried = 1 if size > before else tried + 1
                with pace.paused():
                    client.pause(failure, tried)
    return size


def _body(client: HubClient, info: RepoInfo, file: RepoFile, start: int) -> Iterator[bytes]:
    """The file's bytes from `start` on, never more than the listed size.

    Raises:
        Transient: the connection was interrupted.
        NetworkError: the size differs from the listed one.
    """
    url = client.file_url(info.repo, info.commit, file.path)
    with client.open_stream(info.repo, info.commit, url, start=start) as response:
        skip = start if response.status_code == 200 else 0  # the server ignores Range
        at = start - skip
        for block in response.iter_bytes():
            at += len(block)
            if at > file.size:
                raise _wrong_size(info, file, "more")
            if skip:
                block, skip = block[skip:], max(0, skip - len(block))
            if block:
                yield block
        if at < file.size:
            raise _wrong_size(info, file, f"only {at:,}")


def _wrong_size(info: RepoInfo, file: RepoFile, sent: str) -> NetworkError:
    return NetworkError(
        f"Refused {file.path} of {info.repo}: its size is not the listed one.",
        why=f"The Hub lists {file.size:,} bytes; {sent} were received.",
    )
