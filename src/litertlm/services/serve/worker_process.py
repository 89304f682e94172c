"""The server's side of a model worker: start it, send requests, read events."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import litertlm
from litertlm.runtime.stderr_capture import informative_lines
from litertlm.services.processes import how_it_ended, module_command
from litertlm.services.serve.events import Event, Failed, Finished, Request, TextPiece
from litertlm.settings import child_environment

_LONGEST_LINE = 64 << 20
_REASON_LINES = 3
_END_SECONDS = 2.0
CRASHED = "WorkerCrashed"


class WorkerProcess:
    """A process with one loaded model, which answers one request at a time.

    Args:
        order: the first line for `model_worker`.

    Attributes:
        facts: what the worker tells of the model, when it is loaded.
        last_messages: of the request that it answered last; its cache begins with them.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self.facts: dict[str, Any] = {}
        self.last_messages: tuple[Mapping[str, Any], ...] = ()

    @property
    def started(self) -> bool:
        """Whether the model is loaded."""
        return bool(self.facts)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Load the model.

        Raises:
            Failed: with the worker's reason.
        """
        self._process = await asyncio.create_subprocess_exec(
            *module_command("litertlm.services.serve.model_worker"),
            cwd=Path(litertlm.__file__).parents[1],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(os.environ),
            limit=_LONGEST_LINE,
            start_new_session=True,  # signals of the terminal are for the server
        )
        if self._errors.closed:  # meanwhile
            await self.close()
            raise Failed(CRASHED, "The model was unloaded.")
        await self._send(self._order)
        answer = await self._receive()
        self.facts = answer["loaded"]

    async def answer(self, request: Request) -> AsyncIterator[Event]:
        """The events of one answer; the last one is `Finished`.

        Raises:
            Failed: the request cannot be answered, or the process ended.
        """
        self.last_messages = request.messages
        await self._send({"request": request.fields})
        while True:
            values = await self._receive()
            if "finished" in values:
                calls = tuple(values["finished"].pop("calls", ()))
                yield Finished(**values["finished"], calls=calls)
                return
            yield TextPiece(**values["piece"])

    async def cancel(self) -> None:
        """End the running answer soon, and wait for its end."""
        with suppress(Failed):
            await self._send({"cancel": True})
            while "finished" not in await self._receive():
                pass

    async def close(self) -> None:
        """End the process, and that of its chat template."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), _END_SECONDS)
            except asyncio.TimeoutError:  # native code does not let its threads run
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        self._errors.close()

    async def _send(self, values: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(values).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._crash() from None

    async def _receive(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise await self._crash()
        values: dict[str, Any] = json.loads(line)
        if "failed" in values:
            error = values["failed"]
            raise Failed(error["kind"], error["what"], why=error["why"], hint=error["hint"])
        return values

    async def _crash(self) -> Failed:
        assert self._process is not None
        how = how_it_ended(await self._process.wait())
        lines: list[str] = []
        if not self._errors.closed:
            self._errors.seek(0)
            printed = self._errors.read().decode("utf-8", "replace")
            lines = informative_lines(printed)[-_REASON_LINES:]
        return Failed(
            CRASHED,
            "The process of the model ended unexpectedly.",
            why="\n".join([*lines, f"({how})"]),
        )
