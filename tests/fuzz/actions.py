"""What the program does with an input, and how that ended.

`run(base, folder)` goes the way of a user's command: a checkpoint is opened, identified, planned
and, now and then, written; its template renders a prompt. A bundle goes through `show`, and through
what `run` reads of it before the runtime loads it.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz.bases import BUNDLE, GGUF
from fuzz.traces import place_of
from litertlm.bundle_format.info import read_bundle_info
from litertlm.cli.errors import run_guarded
from litertlm.cli.main import PROGRAM, cli
from litertlm.cli.output import make_output
from litertlm.errors import LiteRtLmError, TemplateError
from litertlm.services import bundle_file
from litertlm.services.chat.render import template_render
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_source
from litertlm.services.worker import TemplateProcess

MESSAGES = [{"role": "user", "content": "How many days are there in a year?"}]
# Exit codes that an input may cause (docs/architecture.md). 1 is an internal error.
GOOD_CODES = {0, 3, 6, 7, 8, 10}
LONGEST_MESSAGE = 4000  # characters
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        result: `accepted`, `refused`, or what went wrong: `internal error`, `wrong code`,
            `unprintable`, `long message`, `disagreement`; `hang`, `crash` and `out of memory` are
            seen from outside of the process (pool.py).
        code: the exit code of the command.
        error: the class of the error, or empty.
        place: the innermost function of ours in the traceback, as `module:function`.
        message: what the user would read.
    """

    result: str
    code: int = 0
    error: str = ""
    place: str = ""
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether this must not happen."""
        return self.result not in ("accepted", "refused")

    @property
    def kind(self) -> str:
        """Result and class of the error, which stay when code moves."""
        return f"{self.result} {self.error}".strip()

    @property
    def signature(self) -> str:
        """What cases with the same cause have in common: kind and module."""
        return f"{self.kind} {self.place.partition(':')[0]}".strip()


def run(base: str, folder: Path, templates: TemplateProcess, *, write: bool) -> Outcome:
    """Run the command for the input in `folder`.

    Args:
        templates: adapts and renders the checkpoints' templates; one for all cases.
        write: whether an accepted checkpoint's weights are converted, too.
    """
    kind = base.rpartition(":")[0]
    if kind == "bundle":
        return _run_bundle(folder / BUNDLE, templates)
    if kind == "lora":
        source = CheckpointSource(folder / "adapter", folder / "base")
    elif kind == "gguf":
        source = CheckpointSource(folder / GGUF)
    else:
        source = CheckpointSource(folder)
    return observe(lambda: _convert(source, templates, write=write))


def observe(action: Callable[[], None]) -> Outcome:
    """Run `action` as the command line would."""
    caught: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as error:
            caught.append(error)
            raise

    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with contextlib.redirect_stderr(printed):
        try:
            code = run_guarded(guarded, lambda: make_output({}))
        except BaseException as error:  # noqa: BLE001 - a Rust panic is no Exception
            caught[:] = [error]
            code = 1
    printed.flush()
    message = printed.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]
    if not caught:
        return Outcome("accepted", code)
    error = caught[0]
    name, place = type(error).__name__, place_of(error)
    if not isinstance(error, LiteRtLmError):
        result = "out of memory" if isinstance(error, MemoryError) else "internal error"
        return Outcome(result, code, name, place, message[:LONGEST_MESSAGE])
    return Outcome(judged(code, message), code, name, place, message[:LONGEST_MESSAGE])


def judged(code: int, message: str) -> str:
    """The result of an error of ours: whether exit code and message are as they must be."""
    if code not in GOOD_CODES:
        return "wrong code"
    if _CONTROL.search(message):
        return "unprintable"
    return "long message" if len(message) > LONGEST_MESSAGE else "refused"


def _convert(source: CheckpointSource, templates: TemplateProcess, *, write: bool) -> None:
    plan = plan_source(source, ConvertOptions(), templates)
    prompts = plan.prompting
    if prompts.original_template is not None:
        # A template that refuses this conversation is no fault of the conversion.
        with contextlib.suppress(TemplateError):
            templates.render(
                prompts.original_template, prompts.template_variables, messages=MESSAGES
            )
    if write:
        with (source.path.parent / "written").open("w+b") as file:
            try:
                bundle_file.write(file.fileno(), plan.bundle, threads=1)
            finally:
                os.unlink(file.name)


def _run_bundle(path: Path, templates: TemplateProcess) -> Outcome:
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
        shown = observe(lambda: _invoke(["show", str(path)]))
    if shown.failed:
        return shown
    started = observe(lambda: _render(path, templates))
    if started.failed or (shown.result == started.result and shown.code == started.code):
        return started
    message = f"show: {shown.code}; run: {started.code}\n{shown.message}{started.message}"
    error, place = shown.error or started.error, shown.place or started.place
    return Outcome("disagreement", started.code, error, place, message)


def _invoke(arguments: list[str]) -> None:
    with cli.make_context(PROGRAM, arguments) as context:
        cli.invoke(context)


def _render(path: Path, templates: TemplateProcess) -> None:
    render = template_render(read_bundle_info(path), templates)
    with contextlib.suppress(TemplateError):
        render(MESSAGES)
