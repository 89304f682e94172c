"""Listen for connections until a signal ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from litertlm.errors import UsageError

_GRACE_S = 3  # for running answers, after a signal
_MAX_CONNECTIONS = 512
_BACKLOG = 256
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class TimedProtocol(H11Protocol):
    """Closes connections on which the headers of a request do not arrive in time.

    Idle connections between two requests have uvicorn's own limit.
    """

    headers_timeout_s = 20.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        else:
            # Not started again by more data: a header that arrives byte by byte is late as well.
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.headers_timeout_s, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, and reports when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is changed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As the parent, and then the report."""
        await super().startup(sockets)
        self._listening()


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        port: 0 for any free one.

    Raises:
        UsageError: the address cannot be used.
    """
    try:
        family = socket.AF_INET
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host).version == 6:
                family = socket.AF_INET6
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"Cannot listen on {host}:{port}.",
            why=getattr(error, "strerror", None) or str(error),
            hint="Choose another port with --port.",
        ) from error


def serve(app: ASGIApp, listening_on: socket.socket, listening: Callable[[], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; running answers get a few seconds to end.

    Args:
        listening: called when requests are accepted.
    """
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # A forwarded address would decide who may delete models.
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, listening)

    def stop(*_: Any) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        asyncio.run(server.serve(sockets=[listening_on]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
