"""The chat on a terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from litertlm.cli.answers import AnswerPrinter, interruptible, stats_line, truncation_notice
from litertlm.cli.app import App
from litertlm.cli.errors import format_error
from litertlm.cli.repl.terminal import echo, restore_terminal
from litertlm.cli.run_session import (
    RunRequest,
    make_loader,
    stream_pieces,
)
from litertlm.cli.signals import TERMINATING, Interrupted, on_ctrl_c
from litertlm.errors import LiteRtLmError
from litertlm.services.chat import kinds_of
from litertlm.store import InstalledModel

if TYPE_CHECKING:
    from litertlm.cli.repl.state import Repl
    from litertlm.services.chat import Call, RunOptions


class _Terminated(Interrupted):
    """SIGTERM or SIGHUP arrived; in a chat, Ctrl-C does not end the program."""


def chat_on_terminal(
    app: App,
    installed: InstalledModel,
    request: RunRequest,
    options: RunOptions,
) -> None:
    """Chat until the user exits."""
    output = app.output
    output.status(f"Loading {installed.name}...")

    def while_loading() -> None:
        # prompt_toolkit takes a while to import; the engine loads in native code at the same time.
        import_module("litertlm.cli.repl.prompt_line")

    load = make_loader(app, installed, request)
    kinds = kinds_of(request.attached)
    tools = request.toolbox.schemas if request.toolbox else ()
    model = load(options, kinds=kinds, while_loading=while_loading)
    from litertlm.cli.repl.commands import Next, run_command
    from litertlm.cli.repl.prompt_line import PromptLine
    from litertlm.cli.repl.state import Repl

    repl = Repl(
        output=output,
        model=model,
        chat=model.chat(options, tools=tools, notice=output.warn),
        options=options,
        load=load,
        cwd=app.settings.cwd,
        kinds=kinds,
        attached=list(request.attached),
        raw=request.raw,
        toolbox=request.toolbox,
        reject_control_tokens=request.reject_control_tokens,
        yes=request.yes,
        plain=request.plain,
        hide_thinking=request.hide_thinking,
        stats=request.stats,
    )
    repl.check_control_tokens(options.system or "", "system message")
    history = app.settings.history_file if request.history else None
    with restore_terminal(), _terminating_signals():
        to_stderr = not os.isatty(sys.stdout.fileno())
        line = PromptLine(history, to_stderr=to_stderr, warn=output.warn)
        output.note("Enter your prompt:  (/help lists the commands)")
        while True:
            try:
                text = line.ask(_prompt_text(repl), default=repl.take_prefill())
            except EOFError:
                return
            except _Terminated:
                raise
            except KeyboardInterrupt:
                output.note("Use Ctrl-D or /bye to exit.")
                continue
            try:
                following = Next.ANSWER
                if text.startswith("/") and not text.startswith("//"):
                    following = run_command(repl, text)
                elif text:
                    text = text.removeprefix("/") if text.startswith("//") else text
                    repl.check_control_tokens(text, "message")
                    repl.chat.say(text, repl.take_attached())
                if following is Next.QUIT:
                    return
                if following is Next.ANSWER:
                    _answer(repl)
            except LiteRtLmError as error:
                output.note(format_error(error))
            except _Terminated:
                raise
            except KeyboardInterrupt:
                output.note("Interrupted.")


def _prompt_text(repl: Repl) -> str:
    filled, count = repl.chat.filled, len(repl.attached)
    attached = f"[{count} file{'s' if count > 1 else ''}] " if count else ""
    return attached + (f"[{filled:.0%}] > " if filled >= 0.5 else "> ")


def _answer(repl: Repl) -> None:
    output, chat, toolbox = repl.output, repl.chat, repl.toolbox
    if toolbox is not None and repl.reject_control_tokens:
        toolbox = replace(toolbox, rejects=repl.model.control_tokens)
    asked = chat.messages[-1]
    shown = AnswerPrinter(
        output,
        plain=repl.plain,
        thinking=not repl.hide_thinking,
    )

    def allow(call: Call) -> bool:
        shown.end()
        if repl.yes:
            output.note(f"Calling {call}")
            return True
        with echo(True), _ctrl_c_raises():
            try:
                return output.confirm(f"Call {call}? [y/N] ")
            except KeyboardInterrupt:
                output.note("")
                return False

    with echo(False), interruptible(chat):
        try:
            for piece in stream_pieces(chat, toolbox, allow, _ctrl_c_raises):
                shown.show(piece)
        finally:
            shown.end()
    answer = chat.last
    if answer is None:
        return
    if answer.finish_reason == "interrupted":
        output.note("Stopped.")
        if all(message is not asked for message in chat.messages):
            # Stopped before the first token: attach the files again, as the text is in the history.
            repl.attached[:] = asked.get("attachments", ())
    elif ended := truncation_notice(answer):
        output.note(ended)
    if repl.stats:
        output.note(stats_line(answer))


def _ctrl_c_raises() -> AbstractContextManager[None]:
    from litertlm.services.chat import ToolInterrupted

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise ToolInterrupted

    return on_ctrl_c(interrupt)


@contextmanager
def _terminating_signals() -> Iterator[None]:
    def close(number: int, frame: FrameType | None) -> NoReturn:
        raise _Terminated(number)

    before = {
        number: signal.signal(number, close) for number in TERMINATING if number != signal.SIGINT
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
