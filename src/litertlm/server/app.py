"""The application: routes, the guard before them, and errors in the form of each interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from litertlm.server import anthropic, ollama, ollama_models, openai, openapi, responses, web
from litertlm.server.errors import RETRY_AFTER_S, ApiError
from litertlm.server.state import State

_MODEL_PATH = "/v1/models/"


def create_app(state: State) -> Starlette:
    """The application of a server."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.ensure_future(state.load_first())
        yield
        loading.cancel()
        await state.close()

    routes: list[BaseRoute] = [
        Route("/health", health),
        Route("/metrics", metrics),
        *openai.ROUTES,
        *responses.ROUTES,
        *anthropic.ROUTES,
        *ollama.ROUTES,
        *ollama_models.ROUTES,
        *openapi.ROUTES,
        *web.ROUTES,
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            Exception: _on_bug,
        },
    )
    app.state.server = state
    paths = {route.path for route in routes if isinstance(route, Route)}
    app.add_middleware(_Guarded, state=state, paths=frozenset(paths))
    return app


async def health(http: HttpRequest) -> Response:
    """`GET /health`."""
    return JSONResponse({"status": "ok"})


async def metrics(http: HttpRequest) -> Response:
    """`GET /metrics`."""
    state: State = http.app.state.server
    return PlainTextResponse(state.metrics.text(state.manager), media_type="text/plain")


def _error_response(path: str, error: ApiError) -> Response:
    if path.startswith("/v1/messages"):
        body = anthropic.error_body(error)
    elif path.startswith("/api/"):
        body = ollama.error_body(error)
    else:
        body = openai.error_body(error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status in {429, 503} else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=error.status, headers=headers)


async def _on_api_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _error_response(http.url.path, error)


async def _on_http_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "invalid_request")
    response = _error_response(http.url.path, ApiError(error.status_code, f"{error.detail}.", code))
    response.headers.update(error.headers or {})  # Allow
    return response


async def _on_bug(http: HttpRequest, error: Exception) -> Response:
    return _error_response(http.url.path, ApiError(500, "Internal error.", "internal_error"))


class _Guarded:
    """Checks host, origin and key before the application, and counts requests."""

    def __init__(self, app: ASGIApp, state: State, paths: frozenset[str]) -> None:
        self._app = app
        self._state = state
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        origin = headers.get("origin")
        guard = self._state.guard

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._state.metrics.requests[(self._label(path), message["status"])] += 1
                if origin is not None and guard.allows_origin(origin, headers.get("host", "")):
                    extra = guard.cors_headers(origin)
                    message["headers"] = [
                        *message.get("headers", ()),
                        *((k.lower().encode(), v.encode()) for k, v in extra.items()),
                    ]
            await send(message)

        response: Response | None = None
        if scope["method"] == "OPTIONS" and origin is not None:
            # A preflight has no key.
            allowed = guard.allows_origin(origin, headers.get("host", ""))
            response = Response(status_code=204 if allowed else 403)
        else:
            try:
                guard.check(path, headers)
            except ApiError as error:
                response = _error_response(path, error)
        await (response or self._app)(scope, receive, counted)

    def _label(self, path: str) -> str:
        """The path for metrics: one of few, because clients choose what they ask for."""
        if path.startswith(_MODEL_PATH):
            return f"{_MODEL_PATH}{{id}}"
        return path if path in self._paths else "other"
