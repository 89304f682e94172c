"""Connections that send the headers of a request too slowly."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from litertlm.errors import UsageError
from litertlm.server.run import TimedProtocol, open_socket


class Impatient(TimedProtocol):
    headers_timeout_s = 0.05


WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PART = b"GET / HTTP/1.1\r\nHost: local"


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["first", "second"])
def test_late_headers_close_the_connection(before: bytes) -> None:
    async def answer(http: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def work() -> bytes:
        app = Starlette(routes=[Route("/", answer)])
        config = uvicorn.Config(
            app, http=Impatient, log_config=None, lifespan="off", timeout_keep_alive=3600
        )
        server = uvicorn.Server(config)
        listening_on = open_socket("127.0.0.1", 0)
        task = asyncio.ensure_future(server._serve([listening_on]))
        reader, writer = await asyncio.open_connection(*listening_on.getsockname())
        if before:
            writer.write(before)
            await reader.readuntil(b"hello")
        writer.write(PART)
        received = await reader.read()  # until the server closes the connection
        writer.close()
        server.should_exit = True
        await task
        return received

    assert asyncio.run(work()) == b""


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("192.0.2.1", 80)])
def test_addresses_that_cannot_be_used(host: str, port: int) -> None:
    with pytest.raises(UsageError, match="Cannot listen"):
        open_socket(host, port)
