"""The chat on a terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from litertlm.cli.answers import Shown, cut_off, interruptible, stats_line
from litertlm.cli.app import App
from litertlm.cli.errors import told
from litertlm.cli.repl.terminal import no_echo, restored_terminal
from litertlm.cli.running import RunRequest, loader, pieces_of
from litertlm.cli.signals import Interrupted
from litertlm.errors import LiteRtLmError
from litertlm.services.tools import Call, Toolbox
from litertlm.store import InstalledModel


class _Closed(Interrupted):
    """The process was told to end; Ctrl-C does not do that to a chat."""


def chat_on_terminal(
    app: App,
    installed: InstalledModel,
    request: RunRequest,
    values: dict[str, Any],
    toolbox: Toolbox | None,
) -> None:
    """Chat until the user leaves."""
    output = app.output
    output.status(f"Loading {installed.name}...")

    def meanwhile() -> None:
        # Half of the time until the prompt; the engine loads in native code meanwhile.
        pass

    load = loader(app, installed, request)
    model = load(values, meanwhile=meanwhile)
    from litertlm.cli.repl.commands import Next, run_command
    from litertlm.cli.repl.prompt import PromptLine
    from litertlm.cli.repl.state import Repl

    repl = Repl(
        output=output,
        model=model,
        chat=model.chat(values, tools=toolbox.schemas if toolbox else (), notice=output.warn),
        values=values,
        load=load,
        cwd=app.settings.cwd,
        toolbox=toolbox,
        yes=request.yes,
        plain=request.plain,
        hide_thinking=request.hide_thinking,
        stats=request.stats,
    )
    history = app.settings.history_file if request.history else None
    with restored_terminal(), _ended_by_signals():
        line = PromptLine(history, to_stderr=not os.isatty(sys.stdout.fileno()))
        output.note("Enter your prompt:  (/help lists the commands)")
        while True:
            try:
                text = line.ask(_prompt_text(repl), default=repl.take_prefill())
            except EOFError:
                return
            except _Closed:
                raise
            except KeyboardInterrupt:
                output.note("Ctrl-D or /bye leaves; Ctrl-C stops an answer.")
                continue
            try:
                following = Next.ANSWER
                if text.startswith("/") and not text.startswith("//"):
                    following = run_command(repl, text)
                elif text:
                    repl.chat.say(text.removeprefix("/") if text.startswith("//") else text)
                if following is Next.QUIT:
                    return
                if following is Next.ANSWER:
                    _answer(repl)
            except LiteRtLmError as error:
                output.note(told(error))


def _prompt_text(repl: Any) -> str:
    filled = repl.chat.filled
    return f"[{filled:.0%}] > " if filled >= 0.5 else "> "


def _answer(repl: Any) -> None:
    output, chat = repl.output, repl.chat
    shown = Shown(
        output,
        width=None if repl.plain else output.answer_width(),
        thinking=not repl.hide_thinking,
    )

    def allow(call: Call) -> bool:
        shown.end()
        if repl.yes:
            output.note(f"Calling {call}")
            return True
        return bool(output.confirmed(f"Call {call}? [y/N] "))

    with no_echo(), interruptible(chat):
        try:
            for piece in pieces_of(chat, repl.toolbox, allow):
                shown.show(piece)
        finally:
            shown.end()
    answer = chat.last
    if answer.finish_reason == "interrupted":
        output.note("Stopped.")
    elif ended := cut_off(answer):
        output.note(ended)
    if repl.stats:
        output.note(stats_line(answer))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def close(number: int, frame: FrameType | None) -> NoReturn:
        raise _Closed

    before = {number: signal.signal(number, close) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
