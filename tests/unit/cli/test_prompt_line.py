"""Signals that arrive while prompt_toolkit's event loop runs."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from litertlm.cli.repl.prompt_line import PromptLine


class _Ended(KeyboardInterrupt):
    pass


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    """What is typed; SIGTERM raises `_Ended`."""

    def end(number: int, frame: object) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    with create_pipe_input() as typed:
        yield typed
    signal.signal(signal.SIGTERM, before)


def _prompt(keys: PipeInput) -> PromptLine:
    output = Vt100_Output(io.StringIO(), lambda: Size(rows=24, columns=80))
    with create_app_session(keys, output):
        return PromptLine(None, to_stderr=False)


def test_a_signal_while_the_prompt_ends(keys: PipeInput, capfd: pytest.CaptureFixture[str]) -> None:
    line = _prompt(keys)
    app = line._session.app
    sent = []

    async def signal_at_the_end() -> None:
        try:
            await asyncio.sleep(3600)
        finally:  # cancelled when the line has been read
            sent.append(app.is_done)
            os.kill(os.getpid(), signal.SIGTERM)

    def begin(_: object) -> None:
        if not app.is_done:
            app.after_render.remove_handler(begin)
            app.create_background_task(signal_at_the_end())
            keys.send_text("Hello\r\r")

    app.after_render += begin
    with pytest.raises(_Ended):
        line.ask("> ")
    assert sent == [True]
    # prompt_toolkit writes it to the real stdout, and waits for Enter.
    assert "Unhandled exception" not in capfd.readouterr().out


def test_a_signal_while_the_prompt_waits(keys: PipeInput) -> None:
    line = _prompt(keys)
    app = line._session.app

    def begin(_: object) -> None:
        if not app.is_done:
            app.after_render.remove_handler(begin)
            keys.send_text("Hel")
            app.loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)  # type: ignore[union-attr]

    app.after_render += begin
    with pytest.raises(_Ended):
        line.ask("> ")
    keys.send_text("lo\r")
    assert line.ask("> ") == "lo"


def test_a_signal_before_the_prompt_waits(keys: PipeInput) -> None:
    line = _prompt(keys)
    app = line._session.app

    def send(_: object) -> None:
        app.before_render.remove_handler(send)
        os.kill(os.getpid(), signal.SIGTERM)

    app.before_render += send
    with pytest.raises(_Ended):
        line.ask("> ")
