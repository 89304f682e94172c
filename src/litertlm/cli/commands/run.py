"""`litert-lm-cli run`."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.conversion_options import conversion_options, convert_options
from litertlm.cli.hub_options import hub_options
from litertlm.errors import UsageError
from litertlm.services.chat import OPTIONS, Option, RunOptions, Value, parse_value

if TYPE_CHECKING:
    from litertlm.runtime.engine import Attachment
    from litertlm.services.chat import Toolbox

# Of a prompt or a schema. The longest contexts are a million tokens of a few bytes each.
_MAX_TEXT_BYTES = 16_000_000
_METAVARS = {"number": "NUMBER", "integer": "N", "text": "TEXT", "texts": "TEXT"}


def _flag(option: Option) -> Callable[..., Any]:
    """The flag of an option, which `config set` and `/set` take too."""
    name = "--" + option.name.replace("_", "-")
    if option.kind == "switch":
        return click.option(f"{name}/--no-{name[2:]}", default=None, help=option.help)

    def parse(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
        if option.kind == "texts":
            parts = [parse_value(option, _replace_invalid_utf8(part)) for part in given]
            return tuple(text for part in parts for text in _texts(part))
        return None if given is None else parse_value(option, _replace_invalid_utf8(given))

    return click.option(
        name,
        metavar="|".join(option.choices) or _METAVARS[option.kind],
        multiple=option.kind == "texts",
        callback=parse,
        help=option.help + (" Can be repeated." if option.kind == "texts" else ""),
    )


def _texts(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a chat or of one answer."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in reversed(
        [
            click.option("--prompt", metavar="TEXT", help="Answer this prompt and exit."),
            click.option(
                "--prompt-file", type=file, help="Answer the prompt in this file and exit."
            ),
            click.option(
                "--attach",
                type=file,
                multiple=True,
                help="Image or audio file for the prompt, if the model supports it. "
                "Can be repeated.",
            ),
            *(_flag(option) for option in OPTIONS.values()),
            click.option("--hide-thinking", is_flag=True, help="Hide the thinking."),
            click.option(
                "--format",
                "format_",
                type=click.Choice(["json"]),
                help="Answer with a JSON object.",
            ),
            click.option(
                "--schema", type=file, help="Answer with JSON that matches this JSON Schema."
            ),
            click.option(
                "--tools",
                "tools_file",
                type=file,
                help="Python file with functions that the model may call.",
            ),
            click.option(
                "--max-tool-calls",
                type=click.IntRange(min=1),
                metavar="N",
                help="Maximum function calls for one question (default: 32).",
            ),
            click.option(
                "--tool-timeout",
                type=click.FloatRange(min=0, min_open=True, max=86400),
                metavar="SECONDS",
                help="Maximum duration of one function call (default: 60).",
            ),
            click.option("--yes", is_flag=True, help="Call functions without asking."),
            click.option("--raw", is_flag=True, help="Send the prompt without a chat template."),
            click.option(
                "--reject-control-tokens",
                is_flag=True,
                help="Refuse text that contains control tokens of the model (exit code 2).",
            ),
            click.option("--plain", is_flag=True, help="Do not render Markdown."),
            click.option("--stats", is_flag=True, help="Print statistics after each answer."),
            click.option("--jsonl", is_flag=True, help="Stream the answer as JSON lines."),
            click.option(
                "--no-history", is_flag=True, help="Do not read or write the history of messages."
            ),
        ]
    ):
        function = option(function)
    return function


@make_command("run")
@progress_option
@model_argument()
@run_options
@click.option("--reconvert", is_flag=True, help="Convert again if the bundle exists.")
@conversion_options
@hub_options
def command(
    app: App,
    model: str,
    reconvert: bool,
    revision: str | None,
    file: str | None,
    base: str | None,
    keep_checkpoint: bool,
    **values: Any,
) -> None:
    """Chat with MODEL, or answer one prompt (--prompt or piped input) and exit.

    If the model is not on disk, it is downloaded, and converted if needed.
    """
    from litertlm.runtime.litert import preload

    preload()
    from litertlm.services.worker import TemplateProcess

    templates = TemplateProcess()
    if not values["raw"]:
        templates.start()  # beside the imports, which occupy one processor
    from litertlm.cli.run_session import RunRequest, answer_once, chat
    from litertlm.services.acquire import AcquireRequest, acquire
    from litertlm.services.chat import read_config

    flags = {name: values.pop(name) for name in OPTIONS}
    parts = _prompt_parts(app, values.pop("prompt"), values.pop("prompt_file"))
    raw = values.pop("raw")
    schema = _schema(values.pop("schema"), values.pop("format_"))
    request = RunRequest(
        options=replace(RunOptions(**flags), schema=schema),
        chats=not parts and _stdin_is_terminal(),
        toolbox=_toolbox(
            values.pop("tools_file"),
            {"max_calls": values.pop("max_tool_calls"), "timeout_s": values.pop("tool_timeout")},
        ),
        defaults=read_config(app.settings.config_file),
        yes=values.pop("yes"),
        attached=_attachments(values.pop("attach")),
        hide_thinking=values.pop("hide_thinking"),
        raw=raw,
        # JSON and raw text are not Markdown.
        plain=values.pop("plain") or raw or schema is not None,
        stats=values.pop("stats"),
        jsonl=values.pop("jsonl"),
        history=not values.pop("no_history"),
        templates=templates,
        reject_control_tokens=values.pop("reject_control_tokens"),
    )
    request.check(app.output.json_wanted)
    with app.output.about(model):
        installed = acquire(
            AcquireRequest(
                model,
                options=convert_options(**values),
                reconvert=reconvert,
                revision=revision,
                file=file,
                base=base,
                keep_checkpoint=keep_checkpoint,
                backend=flags["backend"] or "cpu",
            ),
            store=app.store,
            settings=app.settings,
            progress=app.output,
        )
        app.output.event("ready", path=str(installed.bundle))
    if request.chats:
        chat(app, installed, request)
    else:
        answer_once(app, installed, request, _full_prompt(app, parts))


def _schema(path: Path | None, format_: str | None) -> str | None:
    """The JSON Schema as text; with only `--format json`, one that allows any object."""
    if path is None:
        return '{"type": "object"}' if format_ else None
    import json

    text = _decode(_read_limited(path), str(path), warn=None)
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON.", why=str(error)) from error
    if not isinstance(schema, dict):
        raise UsageError(f"{path} is not a JSON Schema.", why="A schema is a JSON object.")
    return text


def _attachments(paths: tuple[Path, ...]) -> tuple[Attachment, ...]:
    if not paths:
        return ()
    from litertlm.services.chat import read_attachment

    return tuple(map(read_attachment, paths))


def _toolbox(path: Path | None, limits: Mapping[str, Any]) -> Toolbox | None:
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if path is None:
        if given:
            raise UsageError("--max-tool-calls and --tool-timeout need --tools.")
        return None
    from litertlm.services.chat import load_tools

    return load_tools(path, **given)


def _prompt_parts(app: App, text: str | None, path: Path | None) -> list[str]:
    if text is not None and path is not None:
        raise UsageError("--prompt and --prompt-file are mutually exclusive.")
    if path is not None:
        text = _decode(_read_limited(path), str(path), warn=app.output.warn)
    return [] if text is None else [_replace_invalid_utf8(text)]


def _full_prompt(app: App, parts: list[str]) -> str:
    """The prompt, a blank line, and the piped input."""
    piped = _read_piped()
    if piped or not parts:
        text = _decode(piped, "The input", warn=app.output.warn).rstrip("\r\n")
        parts = [*parts, text]
    prompt = "\n\n".join(parts)
    if not prompt.strip():
        raise UsageError("The prompt is empty.", hint="Use --prompt or pipe one in.")
    return prompt


def _stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _read_piped() -> bytes:
    """The piped input; empty for a terminal, /dev/null or a closed stdin."""
    if sys.stdin is None or stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode):
        return b""
    return _limited(sys.stdin.buffer, "The input")


def _read_limited(path: Path) -> bytes:
    """A file, or a pipe such as `<(command)`, which may have no end."""
    with path.open("rb") as file:
        return _limited(file, str(path))


def _limited(file: BinaryIO, name: str) -> bytes:
    data = file.read(_MAX_TEXT_BYTES + 1)
    if len(data) > _MAX_TEXT_BYTES:
        raise UsageError(
            f"{name} is too long.",
            why=f"It has more than {_MAX_TEXT_BYTES / 1e6:.0f} MB; no model has a context for it.",
        )
    return data


def _replace_invalid_utf8(argument: str) -> str:
    """Replace bytes that are not UTF-8, which arrive in an argument as lone surrogates."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decode(data: bytes, where: str, *, warn: Callable[[str], None] | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"Byte {error.start:,} is {data[error.start]:#04x}."
        if warn is None:
            raise UsageError(f"{where} is not UTF-8.", why=why) from error
        warn(
            f"{where} is not UTF-8: {why} Invalid bytes are replaced by \N{REPLACEMENT CHARACTER}."
        )
        return data.decode("utf-8", "replace")
