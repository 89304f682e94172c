"""Pulls that clients have asked for: shared by all who want the same model, ended with the last."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import litertlm
from litertlm.runtime.stderr_capture import informative_lines
from litertlm.services.processes import how_it_ended, module_command
from litertlm.services.serve.catalog import Catalog
from litertlm.services.serve.events import Failed
from litertlm.store import InstalledModel

_REASON_LINES = 3
_MODULE = "litertlm.services.serve.pull_process"


@dataclass(frozen=True)
class PullState:
    """What a pull does.

    Attributes:
        label: the running task, or a message.
        total, done: bytes of the task; `total` is 0 for a message.
    """

    label: str
    total: int = 0
    done: int = 0


@dataclass(eq=False)
class _Pull:
    """A running pull.

    Attributes:
        states: the latest one of each task, and the latest message.
        changed: set when there is a newer state, or the end.
        clients: who waits for it.
        result: the name of the model, when the pull has ended.
    """

    states: dict[str | None, PullState] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    clients: int = 0
    result: asyncio.Task[str] | None = None

    def notify(self) -> None:
        """Wake all who wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


class Pulls:
    """The running pulls of a server.

    Args:
        catalog: finds the models; its environment is that of the processes.
        command: of the process; tests replace it.
    """

    def __init__(
        self, catalog: Catalog, command: Callable[[str], list[str]] = module_command
    ) -> None:
        self._catalog = catalog
        self._command = command
        self._running: dict[str, _Pull] = {}
        self._ending: set[asyncio.Task[str]] = set()

    async def states(self, name: str) -> AsyncIterator[PullState]:
        """Pull a model, and yield what changes.

        A pull that runs already is joined. If all who wait for it close their iterators, it is
        stopped; a later one continues its download.

        Raises:
            UsageError: it is not a name of a model.
            Failed: with the reason.
        """
        model = self._catalog.source(name)
        pull = self._running.get(model)
        if pull is None:
            pull = self._running[model] = _Pull()
            pull.result = asyncio.create_task(self._run(model, pull))
        assert pull.result is not None
        pull.clients += 1
        seen: dict[str | None, PullState] = {}
        try:
            while True:
                changed = pull.changed
                for key, state in list(pull.states.items()):
                    if seen.get(key) != state:
                        seen[key] = state
                        yield state
                if pull.result.done():
                    pull.result.result()
                    return
                if changed is pull.changed:
                    await changed.wait()
        finally:
            pull.clients -= 1
            if pull.clients == 0:
                self._end(model, pull)

    async def finish(self, name: str) -> InstalledModel:
        """Pull a model.

        Raises:
            UsageError, Failed: as `states`.
        """
        async for _ in self.states(name):
            pass
        return self._catalog.find(name)

    async def close(self) -> None:
        """Stop all pulls."""
        for model, pull in list(self._running.items()):
            self._end(model, pull)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, model: str, pull: _Pull) -> None:
        if self._running.get(model) is pull:
            del self._running[model]
        if pull.result is not None and not pull.result.done():
            pull.result.cancel()
            self._ending.add(pull.result)
            pull.result.add_done_callback(self._ending.discard)

    async def _run(self, model: str, pull: _Pull) -> str:
        settings = self._catalog.settings
        order = {
            "model": model,
            "models_dir": str(self._catalog.store.root.absolute()),
            "cwd": str(settings.cwd),
        }
        with tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                *self._command(_MODULE),
                cwd=Path(litertlm.__file__).parents[1],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(settings.environment),
                start_new_session=True,  # signals of the terminal are for the server
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(order).encode() + b"\n")
                async for line in process.stdout:
                    values: dict[str, Any] = json.loads(line)
                    if "pulled" in values:
                        return str(values["pulled"])
                    if "failed" in values:
                        error = values["failed"]
                        why, hint = error["why"], error["hint"]
                        raise Failed(error["kind"], error["what"], why=why, hint=hint)
                    if "status" in values:
                        pull.states[None] = PullState(values["status"])
                    else:
                        state = PullState(values["label"], values["total"], values["done"])
                        pull.states[state.label] = state
                    pull.notify()
                code = await process.wait()
                errors.seek(0)
                printed = errors.read().decode("utf-8", "replace")
                lines = informative_lines(printed)[-_REASON_LINES:]
                raise Failed(
                    "PullCrashed",
                    "The process of the download ended unexpectedly.",
                    why="\n".join([*lines, f"({how_it_ended(code)})"]),
                )
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                pull.notify()
