"""Ollama's interface: the models on disk and in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import litertlm
from litertlm.bundle_format.info import BundleInfo, read_bundle_info
from litertlm.errors import LiteRtLmError
from litertlm.progress import SilentProgress
from litertlm.server.body import read_body
from litertlm.server.errors import ApiError, api_error
from litertlm.server.ollama import NDJSON, line, timestamp
from litertlm.server.state import State, stream
from litertlm.services.acquire import catalog_fields
from litertlm.services.chat import is_base_model, template_source
from litertlm.store import InstalledModel

_TAG = ":latest"
_REPORT_EVERY_S = 0.2


async def version(http: HttpRequest) -> Response:
    """`GET /api/version`."""
    return JSONResponse({"version": litertlm.__version__})


async def tags(http: HttpRequest) -> Response:
    """`GET /api/tags`."""
    state: State = http.app.state.server
    found = [
        {**_fields(model), "modified_at": timestamp(model.bundle.stat().st_mtime)}
        for model in state.catalog.models()
    ]
    return JSONResponse({"models": found})


async def ps(http: HttpRequest) -> Response:
    """`GET /api/ps`."""
    state: State = http.app.state.server
    found = []
    for loaded in state.manager.loaded():
        # Ollama's clients want a time, also for a model that stays.
        expires = loaded.expires_at or state.clock() + 3600
        more = {"size_vram": 0, "context_length": loaded.context, "expires_at": timestamp(expires)}
        found.append({**_fields(loaded.model), "size": loaded.memory_bytes, **more})
    return JSONResponse({"models": found})


async def show(http: HttpRequest) -> Response:
    """`POST /api/show`."""
    state: State = http.app.state.server
    body = await read_body(http)
    name = body.get("model", str) or body.need("name", str)
    try:
        model = state.catalog.find(name)
        info = await asyncio.to_thread(read_bundle_info, model.bundle)
    except LiteRtLmError as error:
        raise api_error(error) from error
    architecture = info.model_type
    return JSONResponse(
        {
            "modelfile": f"FROM {model.name}\n",
            "parameters": "",
            "template": template_source(info),
            "details": _details(model),
            "model_info": {
                "general.architecture": architecture,
                f"{architecture}.context_length": info.longest_context or info.context,
            },
            "capabilities": _capabilities(info),
            "modified_at": timestamp(model.bundle.stat().st_mtime),
        }
    )


async def catalog(http: HttpRequest) -> Response:
    """`GET /api/catalog`: the short names, for the page. Ollama has no such endpoint."""
    state: State = http.app.state.server
    on_disk = {model.name for model in state.catalog.models()}
    return JSONResponse({"models": catalog_fields(on_disk)})


def _capabilities(info: BundleInfo) -> list[str]:
    template = template_source(info)
    found = ["completion"]
    if not is_base_model(info) and "tools" in template:
        found.append("tools")
    if info.images:
        found.append("vision")
    if "enable_thinking" in template:
        found.append("thinking")
    return found


def _fields(model: InstalledModel) -> dict[str, Any]:
    name = model.name + _TAG
    known = model.provenance
    digest = (known.sha256 if known else None) or hashlib.sha256(name.encode()).hexdigest()
    return {
        "name": name,
        "model": name,
        "size": model.bundle.stat().st_size,
        "digest": digest,
        "details": _details(model),
    }


def _details(model: InstalledModel) -> dict[str, Any]:
    known = model.provenance
    return {
        "parent_model": "",
        "format": "litertlm",
        "family": "",
        "families": [],
        "parameter_size": (known.parameters if known else None) or "",
        "quantization_level": (known.recipe if known else None) or "",
    }


async def delete(http: HttpRequest) -> Response:
    """`DELETE /api/delete`."""
    state: State = http.app.state.server
    _check_may_change(state, http)
    body = await read_body(http)
    name = body.get("model", str) or body.need("name", str)
    try:
        model = state.catalog.find(name)
        await state.manager.unload(model)
        await asyncio.to_thread(state.catalog.remove, name, SilentProgress())
    except LiteRtLmError as error:
        raise api_error(error) from error
    return Response(status_code=200)


async def pull(http: HttpRequest) -> Response:
    """`POST /api/pull`."""
    state: State = http.app.state.server
    _check_may_change(state, http)
    body = await read_body(http)
    name = body.get("model", str) or body.need("name", str)
    if body.get("stream", bool, True):
        parts = _pull_parts(state, name)
        return await stream(http, parts, NDJSON, lambda error: line({"error": error.message}))
    try:
        await asyncio.to_thread(state.catalog.pull, name, SilentProgress())
    except LiteRtLmError as error:
        raise api_error(error) from error
    return JSONResponse({"status": "success"})


def _check_may_change(state: State, http: HttpRequest) -> None:
    client = http.client.host if http.client else None
    if not state.guard.may_change(client):
        raise ApiError(403, "Models can be changed from this machine or with an API key only.")


async def _pull_parts(state: State, name: str) -> AsyncIterator[str]:
    progress = PullProgress()
    work = asyncio.create_task(asyncio.to_thread(state.catalog.pull, name, progress))
    yield line({"status": "pulling manifest"})
    shown: object = None
    while not work.done():
        await asyncio.wait({work}, timeout=_REPORT_EVERY_S)
        current = progress.fields()
        if current != shown:
            shown = current
            yield line(current)
    try:
        await work
    except LiteRtLmError as error:
        raise api_error(error) from error
    yield line({"status": "success"})


class PullProgress:
    """The latest of what a download reports; other threads write to it."""

    def __init__(self) -> None:
        self._label = "preparing"
        self._total = 0
        self._completed = 0

    def fields(self) -> dict[str, Any]:
        """In Ollama's form."""
        if not self._total:
            return {"status": self._label}
        sizes = {"total": self._total, "completed": min(self._completed, self._total)}
        return {"status": self._label, "digest": self._label, **sizes}

    def status(self, text: str) -> None:
        """A line for the user."""
        self._label, self._total = text, 0

    def detail(self, text: str) -> None:
        """Ignored."""

    def warn(self, text: str) -> None:
        """Ignored."""

    def task(self, label: str, total_bytes: int) -> PullProgress:
        """The sizes that follow are of this task."""
        self._label, self._total, self._completed = label, total_bytes, 0
        return self

    def waiting(
        self, reason: str, seconds: float, *, requested: bool
    ) -> AbstractContextManager[None]:
        """Not shown: the sizes do not change meanwhile."""
        return nullcontext()

    def __enter__(self) -> PullProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._total = 0

    def advance(self, nbytes: int) -> None:
        """More bytes are done."""
        self._completed += nbytes


ROUTES = [
    Route("/api/version", version),
    Route("/api/tags", tags),
    Route("/api/ps", ps),
    Route("/api/catalog", catalog),
    Route("/api/show", show, methods=["POST"]),
    Route("/api/delete", delete, methods=["DELETE"]),
    Route("/api/pull", pull, methods=["POST"]),
]
