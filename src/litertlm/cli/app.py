"""What all commands share: the common options, the settings and the output."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.output import ENVIRONMENT, Output, make_output
from litertlm.errors import UsageError
from litertlm.settings import Settings, load_settings

if TYPE_CHECKING:
    from litertlm.store import Store


@dataclass(frozen=True)
class App:
    """Settings and output of the running command."""

    settings: Settings
    output: Output

    def use_token(self, token: str) -> None:
        """Use `token` instead of that of the environment, and replace it in what is printed."""
        click.get_current_context().ensure_object(dict)[ENVIRONMENT]["HF_TOKEN"] = token

    @property
    def store(self) -> Store:
        from litertlm.store import Store

        folder = self.settings.models_dir
        if not _is_utf8(str(folder)):
            raise UsageError(
                f"The name of the models folder is not valid UTF-8: {str(folder)!a}.",
                why="The runtime opens files by names in UTF-8.",
                hint="Choose another folder with --models-dir or LITERT_LM_MODELS.",
            )
        return Store(folder)


def common_options() -> list[click.Parameter]:
    """`--json`, `--quiet`, `--verbose` and `--models-dir`; before or after the command."""
    return [
        _option("--json", "Print data and errors as JSON.", is_flag=True),
        _option("--quiet", "Hide status messages and progress bars.", is_flag=True),
        _option("--verbose", "Show details, and tracebacks of errors.", is_flag=True),
        _option(
            "--models-dir",
            "Models folder.  [env var: LITERT_LM_MODELS]",
            type=click.Path(file_okay=False),
            metavar="FOLDER",
        ),
    ]


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Turn a function whose first parameter is the `App` into a command."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def callback(**parameters: Any) -> None:
            function(current_app(), **parameters)

        made = click.command(name)(callback)
        made.params += common_options()
        return made

    return decorate


def progress_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--progress` to a command that may take long."""
    return click.option(
        "--progress",
        type=click.Choice(["auto", "json"]),
        default="auto",
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="auto: bars on a terminal, else lines. json: one JSON object a line (stderr).",
    )(function)


def current_app() -> App:
    """The `App` of the running command."""
    common = click.get_current_context().ensure_object(dict)
    environment = common.setdefault(ENVIRONMENT, dict(os.environ))
    settings = load_settings(environment, cwd=Path.cwd(), models_dir=common.get("models_dir"))
    return App(settings=settings, output=make_output(common))


def help_without_command(context: click.Context) -> None:
    """For a group that is run without a command: print its help on stdout."""
    if context.invoked_subcommand is None:
        current_app().output.write_stdout(context.get_help(), end="\n")


def _is_utf8(text: str) -> bool:
    """Whether a name of a file is UTF-8; other bytes arrive as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _option(name: str, text: str, **more: Any) -> click.Option:
    return click.Option(
        [name], help=text, expose_value=False, is_eager=True, callback=_remember, **more
    )


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        context.ensure_object(dict)[parameter.name] = value
