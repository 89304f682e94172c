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
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from litertlm.disk import hash_buffer, sync_to_disk, update_hash
from litertlm.hub.arrival import ArrivingFile, Cancelled
from litertlm.hub.cache import cached_file
from litertlm.hub.client import HubClient
from litertlm.hub.connections import Jobs
from litertlm.hub.failures import offline_error
from litertlm.hub.info import RepoFile, RepoInfo, check_case_conflicts
from litertlm.hub.part import BLOCKS_SUFFIX, HASH_BLOCK, Part, received_bytes
from litertlm.hub.transfer import Transfer, matches_hash, new_digest
from litertlm.hub.window import WindowPart
from litertlm.progress import Progress, Task

PARTS_FOLDER = ".download"
_SYNC_SECONDS = 0.5


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
    Download(client, info, files, folder, progress, before_rename=before_rename).run()
    return [folder / file.name for file in files]


@dataclass(eq=False)
class Download:
    """The download of some files of a repository; see `download`.

    Attributes:
        heads: bytes from the beginning of files, by path, that were received before.
        arriving: the files that can be read while they are downloaded, by name.
        streamed: these files are not written to the disk; they can be read once, in their order.
    """

    client: HubClient | None
    info: RepoInfo
    files: Sequence[RepoFile]
    folder: Path
    progress: Progress
    before_rename: Callable[[Path], None] = lambda part: None
    heads: Mapping[str, bytes] = field(default_factory=dict)
    arriving: Mapping[str, ArrivingFile] = field(default_factory=dict)
    streamed: bool = False
    jobs: Jobs = field(init=False, default_factory=Jobs)
    _active: set[Path] = field(init=False, default_factory=set)  # parts
    _left: set[str] = field(init=False)  # names of files that are not complete
    _error: BaseException | None = field(init=False, default=None)
    _changed: threading.Condition = field(init=False, default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._left = {file.name for file in self.files}

    def run(self) -> None:
        """Download all files.

        Raises:
            As `download`.
        """
        with self._prepared():
            self.jobs.run()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Download in the background; what is not complete at the end is left for another run."""
        thread = threading.Thread(target=self._run, daemon=True)
        with self._prepared():
            thread.start()
            try:
                yield
            finally:
                self.jobs.end()
                thread.join()
                for file in self.arriving.values():
                    file.close()

    def wait(self, *, for_arriving: bool = True) -> None:
        """Wait until the files are complete and verified.

        Args:
            for_arriving: also for those that can be read before.

        Raises:
            As `download`.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._error or not self._left - (set() if for_arriving else {*self.arriving})
                )
            )
            if self._error is not None:
                raise self._error

    def check_read(self) -> None:
        """Check that all bytes that were read from arriving files are those of complete files.

        Raises:
            Restarted: some were replaced since.
        """
        for file in self.arriving.values():
            file.check()

    def passed(self, place: tuple[str, int]) -> None:
        """Nothing before a place in the arriving files will be read any more.

        Args:
            place: the name of a file, and an offset in it; the files before it count too.
        """
        for name, file in self.arriving.items():
            if name <= place[0]:
                file.passed(file.size if name < place[0] else place[1])

    def cancel(self) -> None:
        """End every wait for bytes of an arriving file."""
        for file in self.arriving.values():
            file.fail(Cancelled())

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[None]:
        """The jobs of all files are queued; the progress is shown and the parts are synced."""
        check_case_conflicts(self.info, self.files)
        parts = self.folder / PARTS_FOLDER
        parts.mkdir(parents=True, exist_ok=True)
        _remove_unknown(parts, {_part_name(self.info, file) for file in self.files})
        to_fetch = sum(_to_fetch(self.info, file, self.folder) for file in self.files)
        if there := sum(file.size for file in self.files) - to_fetch:
            self.progress.detail(f"{there:,} bytes are on disk already.")
        # Those that are read while they arrive come last, since they need the others.
        ordered = sorted(self.files, key=lambda file: file.name in self.arriving)
        ended = threading.Event()
        threading.Thread(target=self._sync, args=(ended,), daemon=True).start()
        try:
            with self.progress.task(f"Downloading {self.info.repo}", to_fetch) as task:
                self.jobs.add(*(functools.partial(self._fetch, file, task) for file in ordered))
                yield
        finally:
            ended.set()
            _remove_empty(parts)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self.jobs.run()
        except BaseException as raised:  # noqa: BLE001 - raised again by those who wait
            error = raised
        with self._changed:
            self._error = error
            self._changed.notify_all()
        if error is not None:
            for file in self.arriving.values():
                file.fail(error)

    def _fetch(self, file: RepoFile, task: Task) -> None:
        info = self.info
        target = self.folder / file.name
        path = self.folder / PARTS_FOLDER / _part_name(info, file)
        arriving = self.arriving.get(file.name)

        def finish() -> None:
            self._active.discard(path)
            sync_to_disk(path)
            self.before_rename(path)
            os.replace(path, target)
            sync_to_disk(self.folder)
            complete()

        def complete() -> None:
            if arriving:
                arriving.complete(target)
            with self._changed:
                self._left.discard(file.name)
                self._changed.notify_all()

        if _matches(target, file):
            complete()
            return
        if _take_cached(info, file, path):
            self.progress.detail(f"{file.path}: from the Hugging Face cache.")
            finish()
        elif self.client is None:
            raise offline_error()
        else:
            waiting = replace(self.client, sleep=self.jobs.stop.wait)
            part: Part
            if self.streamed and arriving:
                part = WindowPart(path, file.size, self.jobs.stop)
                done = complete
            else:
                part, done = Part(path, file.size), finish
                self._active.add(path)
            if (head := self.heads.get(file.path)) and not part.received:
                with part.writer() as writer:
                    writer.write(0, head)
                task.advance(len(head))
            Transfer(waiting, info, file, part, task, self.jobs, done, arriving).start()

    def _sync(self, ended: threading.Event) -> None:
        """Send the parts to the disk while they are received: at the end, little is left to do."""
        while not ended.wait(_SYNC_SECONDS):
            for path in tuple(self._active):
                with contextlib.suppress(OSError):  # it was renamed, or is synced at the end
                    sync_to_disk(path)


def has_parts(info: RepoInfo, files: Iterable[RepoFile], folder: Path) -> bool:
    """Whether an earlier run has received something of these files, or the cache has one."""
    return any(_to_fetch(info, file, folder) < file.size for file in files)


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
