"""Which models are loaded, which request goes to which worker, and what waits.

A model has up to `parallel` worker processes. Each has the engine to itself, because the runtime
runs one answer of an engine after the other; their weights are mapped from the same file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from litertlm.errors import LiteRtLmError, NotEnoughResources
from litertlm.memory import free_memory, memory_to_run
from litertlm.services.serve.events import Event, Failed, Finished, Request
from litertlm.services.serve.worker_process import CRASHED, WorkerProcess
from litertlm.store import InstalledModel


@dataclass(frozen=True)
class ServeOptions:
    """How models are loaded and shared.

    Attributes:
        run: values of `RunOptions` for all requests, by name.
        keep_alive_s: seconds that an unused model stays loaded; negative for ever.
        max_loaded: models at once.
        parallel: answers at once for each model.
        max_queue: requests that may wait.
        sessions: of a worker; see `SessionPool`.
        session_bytes: memory that the sessions of a worker may take.
        reject_control_tokens: refuse messages that contain some.
    """

    run: Mapping[str, Any] = field(default_factory=dict)
    keep_alive_s: float = 300.0
    max_loaded: int = 1
    parallel: int = 1
    max_queue: int = 64
    sessions: int = 8
    session_bytes: int = 1 << 30
    reject_control_tokens: bool = False


class Busy(LiteRtLmError):
    """The queue is full."""


@dataclass(eq=False)
class _Loaded:
    """A model with its workers."""

    model: InstalledModel
    workers: list[WorkerProcess] = field(default_factory=list)
    idle: list[WorkerProcess] = field(default_factory=list)
    expires_at: float | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def unused(self) -> bool:
        return len(self.idle) == len(self.workers)


@dataclass(eq=False)
class _Waiting:
    """A request that waits for a worker."""

    model: InstalledModel
    request: Request
    worker: asyncio.Future[WorkerProcess]


@dataclass(frozen=True)
class LoadedModelInfo:
    """A loaded model, for `/api/ps` and metrics.

    Attributes:
        expires_at: seconds since the epoch; None while it is used, or if it stays.
    """

    model: InstalledModel
    context: int
    memory_bytes: int
    expires_at: float | None
    workers: int


class Manager:
    """Answers requests with the models on disk.

    Args:
        start: makes a worker from its order; tests replace it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        options: ServeOptions,
        *,
        start: Callable[[Mapping[str, Any]], WorkerProcess] = WorkerProcess,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self._start = start
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}
        self._queue: list[_Waiting] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.crashes = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def loaded(self) -> list[LoadedModelInfo]:
        """The loaded models."""
        found = []
        for entry in self._loaded.values():
            facts = [worker.facts for worker in entry.workers if worker.started]
            if facts:
                memory = sum(fact.get("memory_bytes") or 0 for fact in facts)
                found.append(
                    LoadedModelInfo(
                        entry.model,
                        facts[0]["context"],
                        memory + entry.model.bundle.stat().st_size,
                        entry.expires_at,
                        len(entry.workers),
                    )
                )
        return found

    async def generate(
        self, model: InstalledModel, request: Request, *, keep_alive_s: float | None = None
    ) -> AsyncIterator[Event]:
        """The events of an answer. Closing the iterator ends the answer soon.

        Raises:
            Busy: the queue is full.
            Failed: the worker's error.
            NotEnoughResources: there is no memory for the model.
        """
        began = time.perf_counter()
        worker = await self._take(model, request)
        load_s = time.perf_counter() - began
        ended = False
        try:
            async for event in worker.answer(request):
                if isinstance(event, Finished):
                    ended = True
                    event = replace(event, load_s=load_s)
                yield event
        except Failed as error:
            ended = True
            if error.kind == CRASHED:
                self.crashes += 1
            raise
        finally:
            if ended:
                self._release(model, worker, keep_alive_s)
            else:
                self._in_background(self._cancel(model, worker, keep_alive_s))

    async def load(self, model: InstalledModel, *, keep_alive_s: float | None = None) -> None:
        """Load a model.

        Raises:
            Busy, Failed, NotEnoughResources: as `generate`.
        """
        worker = await self._take(model, Request(()))
        self._release(model, worker, keep_alive_s)

    async def unload(self, model: InstalledModel) -> None:
        """Unload a model if it is not in use."""
        entry = self._loaded.get(model.name)
        if entry is not None and entry.unused:
            await self._close(entry)

    async def close(self) -> None:
        """End all workers and what waits for them."""
        for waiting in self._queue:
            waiting.worker.cancel()
        for entry in list(self._loaded.values()):
            await self._close(entry)
        for task in list(self._tasks):
            task.cancel()

    async def _take(self, model: InstalledModel, request: Request) -> WorkerProcess:
        """A started worker of a model, which nobody else uses."""
        waiting = _Waiting(model, request, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._dispatch()
        if not waiting.worker.done() and len(self._queue) > self.options.max_queue:
            self._queue.remove(waiting)
            raise Busy(
                "The server is busy.",
                why=f"{self.options.max_queue} requests are waiting already.",
            )
        try:
            worker = await waiting.worker
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            elif not waiting.worker.cancelled():
                self._release(model, waiting.worker.result(), None)
            raise
        if not worker.started:
            await self._start_worker(model, worker)
        return worker

    async def _start_worker(self, model: InstalledModel, worker: WorkerProcess) -> None:
        """Load a model. If the caller is cancelled, the worker is for those that wait."""
        loading = self._in_background(worker.start())
        try:
            await asyncio.shield(loading)
        except asyncio.CancelledError:
            loading.add_done_callback(
                lambda done: self._release(model, worker, None, failed=_failed(done))
            )
            raise
        except BaseException:
            self._release(model, worker, None, failed=True)
            raise

    def _dispatch(self) -> None:
        """Give free workers to what waits, in its order."""
        for waiting in list(self._queue):
            try:
                worker = self._free_worker(waiting)
            except LiteRtLmError as error:
                self._queue.remove(waiting)
                waiting.worker.set_exception(error)
                continue
            if worker is not None:
                self._queue.remove(waiting)
                waiting.worker.set_result(worker)
            elif waiting.model.name not in self._loaded:
                break  # later requests would keep the models in use that must go

    def _free_worker(self, waiting: _Waiting) -> WorkerProcess | None:
        entry = self._loaded.get(waiting.model.name)
        if entry is None:
            if not self._make_room(waiting.model):
                return None
            entry = self._loaded[waiting.model.name] = _Loaded(waiting.model)
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        entry.expires_at = None
        for worker in [each for each in entry.idle if not each.alive]:
            self.crashes += 1
            entry.idle.remove(worker)
            entry.workers.remove(worker)
            self._in_background(worker.close())
        if entry.idle:
            messages = waiting.request.messages
            worker = max(entry.idle, key=lambda each: _common(each.last_messages, messages))
            entry.idle.remove(worker)
            return worker
        if len(entry.workers) < self.options.parallel:
            worker = self._start(self._order(waiting.model))
            entry.workers.append(worker)
            return worker
        return None

    def _make_room(self, model: InstalledModel) -> bool:
        """Unload unused models until another one may be loaded; False if some are in use."""
        needed = memory_to_run(model.bundle.stat().st_size)
        unused = [entry for entry in self._loaded.values() if entry.unused]
        unused.sort(key=lambda entry: entry.expires_at or 0.0)
        freed = 0
        while True:
            free = free_memory()
            fits = free is None or needed <= free + freed
            if fits and len(self._loaded) < self.options.max_loaded:
                return True
            if not unused:
                break
            entry = unused.pop(0)
            freed += memory_to_run(entry.model.bundle.stat().st_size)
            self._in_background(self._close(entry))
            self._loaded.pop(entry.model.name, None)
        if not self._loaded:
            raise NotEnoughResources(
                f"Not enough memory for {model.name}.",
                why=f"It needs about {needed / 1e6:,.0f} MB; {(free or 0) / 1e6:,.0f} MB are free.",
                hint="Use a smaller model.",
            )
        return False

    def _order(self, model: InstalledModel) -> dict[str, Any]:
        return {
            "name": model.name,
            "bundle": str(model.bundle.absolute()),
            "cache": str(model.cache_dir.absolute()),
            "options": dict(self.options.run),
            "sessions": self.options.sessions,
            "session_bytes": self.options.session_bytes,
            "reject_control_tokens": self.options.reject_control_tokens,
        }

    def _release(
        self,
        model: InstalledModel,
        worker: WorkerProcess,
        keep_alive_s: float | None,
        *,
        failed: bool = False,
    ) -> None:
        """Take a worker back."""
        entry = self._loaded.get(model.name)
        if entry is None or worker not in entry.workers:
            self._in_background(worker.close())
        elif failed or (worker.started and not worker.alive):
            entry.workers.remove(worker)
            self._in_background(worker.close())
            if not entry.workers:
                del self._loaded[model.name]
        else:
            entry.idle.append(worker)
            if entry.unused:
                self._expire_later(entry, keep_alive_s)
        self._dispatch()

    def _expire_later(self, entry: _Loaded, keep_alive_s: float | None) -> None:
        seconds = self.options.keep_alive_s if keep_alive_s is None else keep_alive_s
        if seconds < 0:
            return
        entry.expires_at = self._clock() + seconds

        def expire() -> None:
            if entry.unused and self._loaded.get(entry.model.name) is entry:
                self._in_background(self._close(entry))

        entry.timer = asyncio.get_running_loop().call_later(seconds, expire)

    async def _cancel(
        self, model: InstalledModel, worker: WorkerProcess, keep_alive_s: float | None
    ) -> None:
        await worker.cancel()
        self._release(model, worker, keep_alive_s)

    async def _close(self, entry: _Loaded) -> None:
        if self._loaded.get(entry.model.name) is entry:
            del self._loaded[entry.model.name]
        if entry.timer is not None:
            entry.timer.cancel()
        for worker in entry.workers:
            await worker.close()
        entry.workers.clear()
        entry.idle.clear()
        self._dispatch()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _failed(done: asyncio.Task[None]) -> bool:
    return done.cancelled() or done.exception() is not None


def _common(first: tuple[Mapping[str, Any], ...], second: tuple[Mapping[str, Any], ...]) -> int:
    """Messages at the beginning of both that are equal."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
