"""What all endpoints share: the models, answers as events, and how streams are sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request as HttpRequest
from starlette.responses import StreamingResponse

from litertlm.errors import LiteRtLmError, ModelNotFound
from litertlm.server.errors import ApiError, api_error
from litertlm.server.guard import Guard
from litertlm.server.metrics import Metrics
from litertlm.services.serve import (
    Catalog,
    Event,
    Finished,
    Manager,
    Pulls,
    Request,
    TextPiece,
)
from litertlm.store import InstalledModel

Result = TypeVar("Result")


@dataclass
class State:
    """The running server.

    Attributes:
        first: the model to load when the server starts, or None.
        report: receives messages for the user who started the server.
        auto_pull: whether models that are not on disk are downloaded for a request.
        clock: seconds since the epoch.
    """

    catalog: Catalog
    manager: Manager
    guard: Guard
    auto_pull: bool = False
    first: InstalledModel | None = None
    report: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.time
    metrics: Metrics = field(default_factory=Metrics)
    pulls: Pulls = field(init=False)

    def __post_init__(self) -> None:
        self.pulls = Pulls(self.catalog)

    async def close(self) -> None:
        """End all processes."""
        await self.pulls.close()
        await self.manager.close()

    async def model(self, name: str, http: HttpRequest) -> InstalledModel:
        """The model that a request names.

        Raises:
            ApiError: it is not on disk, or cannot be downloaded.
        """
        try:
            return self.catalog.find(name)
        except ModelNotFound as error:
            client = http.client.host if http.client else None
            if not self.auto_pull or not self.guard.may_change(client):
                raise api_error(error) from error
        except LiteRtLmError as error:
            raise api_error(error) from error
        return await self.pull(name, http)

    async def pull(self, name: str, http: HttpRequest) -> InstalledModel:
        """Pull a model; stopped when the client goes away and nobody else waits for it.

        Raises:
            ApiError: it failed.
        """
        try:
            return await while_connected(http, self.pulls.finish(name))
        except LiteRtLmError as error:
            raise api_error(error) from error

    async def load(self, model: InstalledModel, keep_alive_s: float | None = None) -> None:
        """Load a model.

        Raises:
            ApiError: it failed.
        """
        try:
            await self.manager.load(model, keep_alive_s=keep_alive_s)
        except LiteRtLmError as error:
            raise api_error(error) from error

    async def load_first(self) -> None:
        """Load the model of the command line; a failure is reported, and the server goes on."""
        if self.first is not None:
            try:
                await self.load(self.first)
            except ApiError as error:
                self.report(str(error))

    async def events(
        self, model: InstalledModel, request: Request, *, keep_alive_s: float | None = None
    ) -> AsyncIterator[Event]:
        """The events of an answer, counted.

        Raises:
            ApiError: it failed.
        """
        events = self.manager.generate(model, request, keep_alive_s=keep_alive_s)
        try:
            async for event in events:
                if isinstance(event, Finished) and not request.count_only:
                    self.metrics.finished(event)
                yield event
        except LiteRtLmError as error:
            raise api_error(error) from error
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    async def answer(
        self,
        http: HttpRequest,
        model: InstalledModel,
        request: Request,
        *,
        keep_alive_s: float | None = None,
    ) -> Collected:
        """A complete answer; it is cancelled when the client goes away.

        Raises:
            ApiError: it failed.
        """

        async def collect() -> Collected:
            texts: dict[str, list[str]] = {"text": [], "thinking": []}
            async for event in self.events(model, request, keep_alive_s=keep_alive_s):
                if isinstance(event, TextPiece):
                    texts[event.kind].append(event.text)
                else:
                    return Collected("".join(texts["text"]), "".join(texts["thinking"]), event)
            raise ApiError(500, "The answer has no end.", "internal_error")

        return await while_connected(http, collect())


@dataclass(frozen=True)
class Collected:
    """A complete answer."""

    text: str
    thinking: str
    end: Finished


async def while_connected(http: HttpRequest, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client closes the connection.

    Raises:
        ApiError: the client went away.
    """

    async def gone() -> None:
        while (await http.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ApiError(499, "The client closed the connection.", "client_gone")
        return task.result()
    finally:
        task.cancel()
        watcher.cancel()


async def stream(
    http: HttpRequest,
    parts: AsyncIterator[str],
    media_type: str,
    on_error: Callable[[ApiError], str],
) -> StreamingResponse:
    """A response that sends `parts` as they come.

    The first part is waited for, so that an error before it has its HTTP status.

    Args:
        on_error: the last part, after an error in the middle.

    Raises:
        ApiError: before the first part.
    """

    async def begin() -> str:
        return await anext(parts, "")

    first = await while_connected(http, begin())

    async def body() -> AsyncIterator[str]:
        try:
            yield first
            async for part in parts:
                yield part
        except ApiError as error:
            yield on_error(error)
        finally:
            await parts.aclose()  # type: ignore[attr-defined]

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type=media_type, headers=headers)


def sse(data: object, event: str | None = None) -> str:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"
