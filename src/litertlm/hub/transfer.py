"""Receive one file over several connections: blocks of it, in any order, each resumed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from litertlm.disk import Digest
from litertlm.errors import NetworkError
from litertlm.hub.arrival import ArrivingFile
from litertlm.hub.client import HubClient
from litertlm.hub.connections import Jobs
from litertlm.hub.failures import TooSlow, Transient
from litertlm.hub.info import RepoFile, RepoInfo
from litertlm.hub.pace import Pace
from litertlm.hub.part import Part, Restarted, block_size
from litertlm.progress import Task


def new_digest(file: RepoFile) -> Digest:
    """The hash that the Hub lists for the file: SHA-256, or git's for a blob."""
    if file.sha256 is not None:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def matches_hash(digest: Digest, file: RepoFile) -> bool:
    """Whether `digest` is the one that the Hub lists; true if it lists none."""
    expected = file.sha256 or file.blob_id
    return expected is None or digest.hexdigest() == expected


class _Stopped(Exception):
    """Another file failed, or the user interrupted."""


class _RangesIgnored(Exception):
    """The server answers a request for a block with the complete file."""


@dataclass(eq=False)
class Transfer:
    """The download of one file to its part.

    Attributes:
        client: waits with a `sleep` that `jobs.stop` interrupts.
        finish: called once, by the thread that verified the last byte.
        arriving: is told what is there.
    """

    client: HubClient
    info: RepoInfo
    file: RepoFile
    part: Part
    task: Task
    jobs: Jobs
    finish: Callable[[], None]
    arriving: ArrivingFile | None = None
    _claimed: set[int] = field(init=False, default_factory=set)  # blocks that are received now
    _pace: Pace = field(init=False)
    _digest: Digest = field(init=False)
    _hashed: int = field(init=False, default=0)
    _complete: bool = field(init=False, default=False)
    _tries: int = field(init=False, default=0)
    _resumed: int = field(init=False)
    # The server ignores ranges, so one connection receives all.
    _sequential: bool = field(init=False, default=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _hashing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._pace = Pace(self.client.min_speed, self.client.slow_window_s)
        self._digest = new_digest(self.file)
        self._resumed = self.part.received

    def start(self) -> None:
        """Add a job for each incomplete block, and verify the file if there is none.

        The jobs raise NetworkError: the network failed repeatedly, or the hash is wrong twice.
        """
        if self.arriving:
            self.arriving.begin(self.part, self._hurry)
        self.jobs.add(*self._block_jobs(), first=True)
        self._verify()  # bytes of an earlier run, maybe all

    def _block_jobs(self) -> list[Callable[[], None]]:
        return [partial(self._receive_block, index) for index in self.part.incomplete()]

    def _hurry(self, start: int, stop: int) -> None:
        """Receive the blocks of a range before the others."""
        whole = block_size(self.file.size)
        blocks = range(start // whole, -(-stop // whole))
        self.jobs.add(*(partial(self._receive_block, index) for index in blocks), first=True)

    def _receive_block(self, index: int) -> None:
        """Receive what is missing of a block, if no other thread does."""
        with self._lock:
            claimed = self._claimed
            if index in claimed:
                return
            claimed.add(index)
        try:
            self._receive(lambda: self.part.missing(index), alone=len(self.part.counts) == 1)
        except _RangesIgnored:
            with self._lock:
                first, self._sequential = not self._sequential, True
            if first:
                self.jobs.add(self._receive_rest, first=True)
        finally:
            with self._lock:
                claimed.remove(index)

    def _receive_rest(self) -> None:
        """Receive the file from its first missing byte on, from a server that ignores ranges."""
        self._receive(lambda: (self.part.frontier, self.file.size), alone=True)

    def _receive(self, missing: Callable[[], tuple[int, int]], *, alone: bool) -> None:
        """Receive the range that `missing` returns.

        Retries are counted from the last received byte; those of a slow download from the last
        time that it was fast enough.

        Args:
            alone: this is the only connection of the file.
        """
        tried = 0
        while alone or not self._sequential:
            start, end = missing()
            try:
                if start < end:
                    self._receive_range(start, end, alone=alone)
                break  # `missing` may be of the file's second try by now
            except TooSlow as failure:
                self._wait(failure, self._pace.slow_windows)
            except Transient as failure:
                if failure.wait is not None:
                    self.jobs.connections.refused()
                tried = 1 if missing()[0] > start else tried + 1
                self._wait(failure, tried)
        self._verify()

    def _receive_range(self, start: int, end: int, *, alone: bool) -> None:
        """Receive bytes `[start, end)`, or a part of them if another connection receives all."""
        with self.part.writer() as writer:
            for data in self._body(start, end, alone=alone):
                if self.jobs.stop.is_set():
                    raise _Stopped
                if self._sequential and not alone:
                    return
                writer.write(start, data)
                if self.arriving:
                    self.arriving.received()
                start += len(data)
                self.task.advance(len(data))
                self.jobs.received(len(data))
                if start < end:
                    with self._lock:
                        self._pace.received(len(data))

    def _wait(self, failure: Transient, tried: int) -> None:
        with self._pace.paused():
            self.client.pause(failure, tried)

    def _body(self, start: int, end: int, *, alone: bool) -> Iterator[bytes]:
        """The bytes from `start` to `end`, never more than the listed size.

        Raises:
            Transient: the connection was interrupted.
            NetworkError: the size differs from the listed one.
            _RangesIgnored: the server sends the complete file to each connection.
        """
        repo, commit, size = self.info.repo, self.info.commit, self.file.size
        url = self.client.file_url(repo, commit, self.file.path)
        stop = None if end == size else end
        with self.client.open_stream(repo, commit, url, start=start, end=stop) as response:
            complete = response.status_code == 200
            if complete and not alone:
                raise _RangesIgnored
            at = 0 if complete else start
            for data in response.iter_bytes():
                skipped = max(0, min(len(data), start - at))
                at += len(data)
                if at > end:
                    raise self._wrong_size("more")
                if skipped < len(data):
                    yield data[skipped:]
            if at < end:
                raise self._wrong_size(f"only {at:,}")

    def _verify(self) -> None:
        """Hash what has no gap before it; finish the file if that is all of it."""
        with self._hashing:
            frontier = self.part.frontier
            if self._complete or (frontier == self._hashed and frontier < self.file.size):
                return
            self.part.hash_into(self._digest, self._hashed, frontier)
            self._hashed = frontier
            if frontier < self.file.size:
                return
            self._complete = matches_hash(self._digest, self.file)
            if not self._complete:
                self._begin_again()
                return
        self.part.close()
        self.finish()

    def _begin_again(self) -> None:
        """Download a file with a wrong hash a second time.

        Raises:
            NetworkError: this was the second time.
        """
        if self.arriving:
            self.arriving.fail(Restarted())
        if not self.part.resumable:
            raise Restarted
        size, resumed = self.part.received, self._resumed
        self.part.reset()
        self._tries, self._resumed = self._tries + 1, 0
        if self._tries == 2:
            raise NetworkError(
                f"The hash of {self.file.path} of {self.info.repo} is wrong.",
                why="It was downloaded twice; the Hub lists the hash "
                f"{self.file.sha256 or self.file.blob_id}.",
                hint="A proxy changes the file, or the Hub's copy is damaged.",
            )
        self.client.progress.status(
            f"The hash of {self.file.path} is wrong. Downloading it again..."
        )
        self.task.advance(resumed - size)
        self._digest, self._hashed, self._sequential = new_digest(self.file), 0, False
        with self._lock:
            self._claimed = set()  # a thread that has received its block may still claim it
        self.jobs.add(*self._block_jobs(), first=True)

    def _wrong_size(self, sent: str) -> NetworkError:
        return NetworkError(
            f"Refused {self.file.path} of {self.info.repo}: its size is not the listed one.",
            why=f"The Hub lists {self.file.size:,} bytes; {sent} were received.",
        )
