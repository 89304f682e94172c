"""The program: global options, and commands that are imported lazily."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from litertlm import __version__
from litertlm.cli.app import common_options, help_without_command
from litertlm.cli.errors import run_guarded
from litertlm.cli.output import ENVIRONMENT, make_output
from litertlm.settings import take_tokens

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM = "litert-lm-cli"
_COMPLETION_VARIABLE = "_LITERT_LM_CLI_COMPLETE"  # as in shells.py

# Command -> its line in --help. Each is in commands/<name>.py, imported when it runs.
COMMANDS = {
    "run": "Chat with a model; downloads and converts it first if needed.",
    "serve": "Answer requests of OpenAI, Ollama and Anthropic clients over HTTP.",
    "convert": "Convert a checkpoint to a .litertlm bundle.",
    "pull": "Download a model, and convert it if needed, without running it.",
    "list": "List models on disk.",
    "show": "Show information about a model on disk.",
    "verify": "Compare a bundle with its checkpoint.",
    "publish": "Upload a model on disk to the Hugging Face Hub.",
    "rm": "Remove models from disk.",
    "update": "Download or convert models again that have a newer version.",
    "cp": "Copy a model on disk to another name.",
    "export": "Write a bundle with its provenance to a file, for another device.",
    "import": "Add a .litertlm file to the models on disk.",
    "prune": "Remove unfinished files; optionally caches and checkpoints.",
    "models": "List available models (short names).",
    "doctor": "Check this machine, and show how to fix what is wrong.",
    "completion": "Print the completion script of a shell.",
    "config": "Manage per-model default options of run.",
}


class _LazyGroup(click.Group):
    """A group that imports only the command that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"litertlm.cli.commands.{cmd_name}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=line)
            for name, line in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Not Group's, which imports every command.
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Use `litert-lm-cli COMMAND --help` for the options of a command.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Download, convert and run Hugging Face models on this machine.

    MODEL is a Hugging Face repository (org/name or its URL, optionally with @revision), a short
    name (see `models`), a checkpoint folder, a .gguf file or a .litertlm file.

    To start: litert-lm-cli run demo
    """
    help_without_command(context)


cli.params += common_options()


def main(argv: Sequence[str]) -> int:
    """Run the program; returns its exit code."""
    environment = take_tokens(os.environ)
    if instruction := os.environ.get(_COMPLETION_VARIABLE):
        from litertlm.cli.shells import answer

        def complete() -> None:
            found = answer(cli, PROGRAM, instruction, {ENVIRONMENT: environment})
            make_output({}).write_stdout(found, end="\n")

        return run_guarded(complete, lambda: make_output({}))
    # An error may occur before the options are parsed, and must be printed as they ask.
    flags: dict[str, Any] = {name: f"--{name}" in argv for name in ("json", "quiet", "verbose")}
    flags[ENVIRONMENT] = environment
    if "--progress=json" in argv or ("--progress", "json") in pairwise(argv):
        flags["progress"] = "json"
    code = run_guarded(lambda: _invoke(list(argv), environment), lambda: make_output(flags))
    with contextlib.suppress(OSError):  # the reader may be gone
        make_output(flags).event("end", exit_code=code)
    return code


def _invoke(argv: list[str], environment: dict[str, str]) -> None:
    with cli.make_context(PROGRAM, argv, obj={ENVIRONMENT: environment}) as context:
        cli.invoke(context)
