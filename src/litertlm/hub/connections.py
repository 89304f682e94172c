"""The connections of a download: how many, and what runs on them."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST = 4
MOST = 16
_WINDOW_S = 1.0
_GAIN = 1.15  # a larger number of connections must be so much faster to be kept


@dataclass
class Connections:
    """The number of connections that may be open at once, found by measuring.

    The number is doubled while the total speed grows by it; the first time that it does not, the
    previous number is used from then on.

    Attributes:
        limit: connections at once.
        clock: seconds.
    """

    limit: int = FIRST
    clock: Callable[[], float] = time.monotonic
    _began: float | None = field(init=False, default=None)
    _received: int = field(init=False, default=0)
    _speed: float = field(init=False, default=0.0)
    _settled: bool = field(init=False, default=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def received(self, size: int, active: int) -> bool:
        """Count `size` bytes, while `active` connections are open; whether `limit` changed."""
        with self._lock:
            if self._settled:
                return False
            now = self.clock()
            if self._began is None:
                self._began = now
            self._received += size
            if now - self._began < _WINDOW_S:
                return False
            speed = self._received / (now - self._began)
            self._began, self._received = now, 0
            if active < self.limit:  # fewer blocks than connections: nothing can be learned
                return False
            if speed < _GAIN * self._speed:
                self._settled, self.limit = True, max(FIRST, self.limit // 2)
            elif self.limit >= MOST:
                self._settled = True
            else:
                self._speed, self.limit = speed, self.limit * 2
            return True

    def refused(self) -> None:
        """The server asked for fewer requests (status 429 or 503)."""
        with self._lock:
            self._settled, self.limit = True, max(1, self.limit // 2)


class Jobs:
    """Jobs that run on a few threads and may add further jobs.

    The first error, or an interruption, stops all and is raised. The threads are daemons: one that
    waits for a server must not delay the program's exit.

    Attributes:
        connections: how many jobs run at once.
        stop: set when the rest is not wanted any more.
    """

    def __init__(self) -> None:
        self.connections = Connections()
        self.stop = threading.Event()
        self._waiting: collections.deque[Callable[[], None]] = collections.deque()
        self._running = 0
        self._changed = threading.Condition()
        self._errors: list[BaseException] = []

    def add(self, *jobs: Callable[[], None], first: bool = False) -> None:
        """Queue jobs, `first` before those that wait already."""
        with self._changed:
            if first:
                self._waiting.extendleft(reversed(jobs))
            else:
                self._waiting.extend(jobs)
            self._changed.notify_all()

    def received(self, size: int) -> None:
        """A job received `size` bytes."""
        if self.connections.received(size, self._running):
            with self._changed:
                self._changed.notify_all()

    def end(self) -> None:
        """Stop all jobs; those that wait are discarded."""
        self.stop.set()
        with self._changed:
            self._changed.notify_all()

    def run(self) -> None:
        """Run all jobs to the end."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(MOST)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self.end()
            for thread in threads:
                thread.join(timeout=0.25)
        if self._errors:
            raise self._errors[0]

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised again by `run`
                self._errors.append(error)
                self.end()
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self.stop.is_set() and (self._waiting or self._running):
                if self._waiting and self._running < self.connections.limit:
                    self._running += 1
                    return self._waiting.popleft()
                self._changed.wait()
            return None
