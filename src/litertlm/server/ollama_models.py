"""Ollama's interface: the models on disk and in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
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
    await state.pull(name, http)
    return JSONResponse({"status": "success"})


def _check_may_change(state: State, http: HttpRequest) -> None:
    client = http.client.host if http.client else None
    if not state.guard.may_change(client):
        raise ApiError(403, "Models can be changed from this machine or with an API key only.")


async def _pull_parts(state: State, name: str) -> AsyncIterator[str]:
    yield line({"status": "pulling manifest"})
    states = state.pulls.states(name)
    try:
        async for current in states:
            fields: dict[str, Any] = {"status": current.label}
            if current.total:
                sizes = {"total": current.total, "completed": min(current.done, current.total)}
                fields |= {"digest": current.label, **sizes}
            yield line(fields)
    except LiteRtLmError as error:
        raise api_error(error) from error
    finally:
        await states.aclose()  # type: ignore[attr-defined]
    yield line({"status": "success"})


ROUTES = [
    Route("/api/version", version),
    Route("/api/tags", tags),
    Route("/api/ps", ps),
    Route("/api/catalog", catalog),
    Route("/api/show", show, methods=["POST"]),
    Route("/api/delete", delete, methods=["DELETE"]),
    Route("/api/pull", pull, methods=["POST"]),
]
