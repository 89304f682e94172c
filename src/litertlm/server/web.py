"""The chat page: static files with headers that confine them."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

PAGE_FOLDER = Path(__file__).parent / "page"

# Scripts, styles and connections of this server only, and no sink that turns text into code or
# elements: what a model says cannot run or load anything, even if the page had a mistake.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new version of the program must not run with old files.
    "Cache-Control": "no-cache",
}


class _PageFiles(StaticFiles):
    """Static files with the headers above."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await super().__call__(scope, receive, with_headers)


async def root(http: HttpRequest) -> Response:
    """The page for browsers; a line of text for Ollama's clients, which look for it."""
    headers = {"Vary": "Accept"}
    if "text/html" in http.headers.get("accept", ""):
        return FileResponse(PAGE_FOLDER / "index.html", headers={**_HEADERS, **headers})
    return PlainTextResponse("Ollama is running", headers=headers)


ROUTES: list[BaseRoute] = [
    Route("/", root, methods=["GET", "HEAD"]),
    Mount("/page", _PageFiles(directory=PAGE_FOLDER)),
]
