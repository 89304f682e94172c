"""A model worker without a model, for tests of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litertlm.services.serve import Event, Failed, Finished, Request, TextPiece
from litertlm.settings import Settings
from litertlm.store import InstalledModel, Store


@dataclass
class FakeWorkers:
    """Starts workers that answer with `events`, and records what they are asked.

    Attributes:
        events: of every answer; an exception is raised.
        gate: answers wait for it after their first event; None to run through.
        loading: `start` waits for it, and raises its exception if it has one.
        closed: workers that ended, by number.
    """

    events: list[Event | Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    loading: asyncio.Future[None] | None = None
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    cancelled: int = 0
    closed: list[int] = field(default_factory=list)

    def __call__(self, order: Mapping[str, Any]) -> Any:
        self.orders.append(order)
        return FakeWorker(self, len(self.orders) - 1)


class FakeWorker:
    """See `WorkerProcess`."""

    def __init__(self, workers: FakeWorkers, number: int) -> None:
        self.workers = workers
        self.number = number
        self.facts: dict[str, Any] = {}
        self.alive = True
        self.last_messages: tuple[Mapping[str, Any], ...] = ()

    @property
    def started(self) -> bool:
        return bool(self.facts)

    async def start(self) -> None:
        if self.workers.loading is not None:
            await asyncio.shield(self.workers.loading)
        self.facts = {"context": 1280, "images": False, "memory_bytes": 1}

    async def answer(self, request: Request) -> AsyncIterator[Event]:
        self.workers.requests.append(request)
        self.last_messages = request.messages
        for event in self.workers.events:
            if isinstance(event, Exception):
                if isinstance(event, Failed) and event.kind == "WorkerCrashed":
                    self.alive = False
                raise event
            yield event
            if self.workers.gate is not None and not isinstance(event, Finished):
                await self.workers.gate.wait()

    async def cancel(self) -> None:
        self.workers.cancelled += 1

    async def close(self) -> None:
        self.alive = False
        self.workers.closed.append(self.number)


END = Finished("stop", 10, 4, 3, 0.1, 0.2)
HELLO: list[Event | Exception] = [TextPiece("text", "Hel"), TextPiece("text", "lo"), END]


def models_folder(home: Path, *names: str) -> tuple[Store, Settings]:
    """A models folder with bundles that cannot be loaded."""
    store = Store(home / "models")
    for name in names:
        folder = store.root / name
        folder.mkdir(parents=True)
        (folder / f"{folder.name}.litertlm").write_bytes(b"x")
    return store, Settings(models_dir=store.root, cwd=home, environment={})


def installed(home: Path, name: str) -> InstalledModel:
    """The model of that name in a folder made by `models_folder`."""
    org, _, last = name.partition("/")
    folder = home / "models" / org / last
    return InstalledModel(name, folder / f"{last}.litertlm", folder, folder / "cache", None)
