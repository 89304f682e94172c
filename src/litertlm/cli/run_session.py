"""What `run` does when the model is on disk: one answer, or a chat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from litertlm.cli.answers import (
    AnswerPrinter,
    answer_fields,
    interruptible,
    json_line,
    stats_line,
    truncation_notice,
)
from litertlm.cli.app import App
from litertlm.cli.output import Output
from litertlm.cli.signals import Interrupted, ctrl_c_ends_program
from litertlm.errors import UsageError
from litertlm.services.acquire import lookup
from litertlm.services.chat import Chat, LoadedModel, Piece, RunOptions, kinds_of, load_model
from litertlm.store import InstalledModel

if TYPE_CHECKING:
    from litertlm.runtime.engine import Attachment
    from litertlm.services.chat import Call, RunOptions, Toolbox
    from litertlm.services.worker import TemplateProcess

_SHOWN_TOKENS = 5


@dataclass(frozen=True)
class RunRequest:
    """The options of one `run` command.

    Attributes:
        options: of the flags.
        chats: whether to chat on the terminal; else one prompt is answered.
        toolbox: functions that the model may call, or None.
        defaults: default options by model (`config set`).
        yes: call functions without asking.
        attached: images and audio for the prompt, or for the first message of a chat.
        hide_thinking, raw, plain, stats, jsonl, reject_control_tokens: the flags.
        history: whether messages are saved in the history file.
        templates: the process that renders the chat template.
    """

    options: RunOptions
    chats: bool
    toolbox: Toolbox | None
    defaults: Mapping[str, RunOptions]
    yes: bool
    attached: tuple[Attachment, ...]
    hide_thinking: bool
    raw: bool
    plain: bool
    stats: bool
    jsonl: bool
    history: bool
    templates: TemplateProcess
    reject_control_tokens: bool = False

    def check(self, json_wanted: bool) -> None:
        """Check combinations of options before anything is downloaded.

        Raises:
            UsageError: options contradict each other.
        """
        if self.chats and (json_wanted or self.jsonl):
            raise UsageError(
                "--json and --jsonl need a prompt.", hint="Use --prompt or pipe one in."
            )
        if json_wanted and self.jsonl:
            raise UsageError("--json and --jsonl are mutually exclusive.")
        if self.raw and (self.options.system or self.toolbox):
            raise UsageError("--raw does not support --system or --tools.")
        if self.raw and self.attached:
            raise UsageError(
                "--raw does not support --attach.",
                why="Without a chat template their position in the prompt is unknown.",
            )
        if self.toolbox and self.options.schema:
            raise UsageError("--tools and --schema or --format are mutually exclusive.")


def chat(app: App, installed: InstalledModel, request: RunRequest) -> None:
    """Chat on the terminal until the user exits."""
    from litertlm.cli.repl.loop import chat_on_terminal

    chat_on_terminal(app, installed, request, _options(installed, request))


def _options(installed: InstalledModel, request: RunRequest) -> RunOptions:
    """The options of the flags, and the defaults of the model for the others."""
    return request.options.over(request.defaults.get(installed.name, RunOptions()))


def make_loader(
    app: App, installed: InstalledModel, request: RunRequest
) -> Callable[..., LoadedModel]:
    """Return a function that loads the model with given option values."""
    entry = lookup(installed.name)

    def load(
        options: RunOptions,
        *,
        kinds: frozenset[str] = frozenset(),
        while_loading: Callable[[], None] = lambda: None,
    ) -> LoadedModel:
        return load_model(
            installed.name,
            installed.bundle,
            installed.cache_dir,
            options,
            progress=app.output,
            raw=request.raw,
            kinds=kinds,
            instruct=entry.instruct if entry else None,
            while_loading=while_loading,
            templates=request.templates,
        )

    return load


def check_control_tokens(
    output: Output, model: LoadedModel, text: str, *, what: str, raw: bool, reject: bool
) -> None:
    """Warn of control tokens in a text that is sent to the model, or reject it.

    Args:
        what: names the text in the message.
        raw: the text is sent without a template: control tokens are expected in it.

    Raises:
        UsageError: there are some, and `reject` is set.
    """
    if raw and not reject:
        return
    found = model.control_tokens(text)
    if not found:
        return
    shown = ", ".join(found[:_SHOWN_TOKENS]) + (", ..." if len(found) > _SHOWN_TOKENS else "")
    contains = f"The {what} contains the control token{'s' if len(found) > 1 else ''} {shown}"
    if reject:
        raise UsageError(
            f"{contains}.",
            why="The model would read it as a token and not as text (--reject-control-tokens).",
        )
    warning = f"{contains}. The model reads it as a token and not as text."
    output.warn(warning, again=True)  # about each message


def stream_pieces(
    chat: Chat,
    toolbox: Toolbox | None,
    allow: Callable[[Call], bool],
    running: Callable[[], AbstractContextManager[None]],
) -> Iterator[Piece]:
    """Generate the answer to the chat's messages."""
    if toolbox is None:
        return chat.proceed()
    from litertlm.services.chat import answer_with_tools

    return answer_with_tools(chat, toolbox, allow, running)


def answer_once(app: App, installed: InstalledModel, request: RunRequest, prompt: str) -> None:
    """Answer `prompt`."""
    output = app.output
    options, toolbox = _options(installed, request), request.toolbox
    began = time.perf_counter()
    model = make_loader(app, installed, request)(options, kinds=kinds_of(request.attached))
    load_s = time.perf_counter() - began
    for what, text in (("system message", options.system or ""), ("prompt", prompt)):
        check_control_tokens(
            output, model, text, what=what, raw=request.raw, reject=request.reject_control_tokens
        )
    if toolbox is not None and request.reject_control_tokens:
        toolbox = replace(toolbox, rejects=model.control_tokens)
    chat = model.chat(options, tools=toolbox.schemas if toolbox else (), notice=output.warn)
    chat.say(prompt, request.attached)
    calls: list[Call] = []

    def allow(call: Call) -> bool:
        calls.append(call)
        if request.jsonl:
            output.write_stdout(json_line({"type": "tool_call", **call.fields}))
        if not request.yes and output.can_ask:
            shown.end()
            with ctrl_c_ends_program():
                return output.confirm(f"Call {call}? [y/N] ")
        output.status(
            f"Calling {call}" if request.yes else f"Not calling {call}: --yes is not set."
        )
        return request.yes

    shown = AnswerPrinter(output, plain=request.plain, thinking=not request.hide_thinking)
    with interruptible(chat):
        try:
            for piece in stream_pieces(chat, toolbox, allow, ctrl_c_ends_program):
                if request.jsonl:
                    output.write_stdout(json_line({"type": piece.kind, "text": piece.text}))
                elif not output.json_wanted:
                    shown.show(piece)
        finally:
            # Also when a signal ends the program: resets the terminal's style.
            shown.end()
    answer = chat.last
    assert answer is not None
    fields = answer_fields(
        answer,
        model=installed.name,
        options=_effective_options(model, chat, options),
        load_s=load_s,
    )
    if request.attached:
        fields["attached"] = [str(file.path) for file in request.attached]
    if toolbox is not None:
        fields["tool_calls"] = [call.fields for call in calls]
    if request.jsonl:
        output.write_stdout(json_line({"type": "done", **fields}))
    elif output.json_wanted:
        output.data(fields, "")
    if request.stats:
        output.note(stats_line(answer))
    if answer.finish_reason == "interrupted":
        raise Interrupted
    if answer.finish_reason == "context" or (options.schema and truncation_notice(answer)):
        output.warn(truncation_notice(answer))


def _effective_options(model: LoadedModel, chat: Chat, options: RunOptions) -> dict[str, Any]:
    sampling = chat.options.decoding.sampling
    return {
        **options.given(),
        "temperature": None if sampling is None else sampling.temperature,
        "top_k": None if sampling is None else sampling.top_k,
        "top_p": None if sampling is None else sampling.top_p,
        "seed": None if sampling is None else sampling.seed,
        "context": model.engine.info.context,
        "backend": model.engine.info.backend,
    }
