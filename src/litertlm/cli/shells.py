"""Completion scripts for bash, zsh, fish and PowerShell, and the answers to their questions.

The scripts are click's; PowerShell's is here. Each runs the program with the question in variables
of the environment.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_LITERT_LM_CLI_COMPLETE"

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($word, $ast, $cursor)
    $env:%(complete_var)s = "powershell_complete"
    $env:COMP_WORDS = $ast.ToString()
    $env:COMP_CWORD = $word
    try {
        & %(prog_name)s | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            [System.Management.Automation.CompletionResult]::new(
                $value, $value, "ParameterValue", $(if ($help) { $help } else { $value }))
        }
    } finally {
        Remove-Item Env:%(complete_var)s, Env:COMP_WORDS, Env:COMP_CWORD
    }
}
"""


class _PowerShell(ShellComplete):
    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words after the program's name, and the one that is typed."""
        words = split_arg_string(os.environ["COMP_WORDS"])[1:]
        incomplete = os.environ["COMP_CWORD"]
        if incomplete and words and words[-1] == incomplete:
            words.pop()
        return words, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Value and help; nothing for a path, which PowerShell completes itself."""
        if item.type != "plain":
            return ""
        return f"{item.value}\t{item.help}" if item.help else str(item.value)


def script(program: click.Command, name: str, shell: str) -> str:
    """The script that a shell reads to complete `name`.

    Args:
        shell: one of SHELLS.
    """
    return _of_shell(program, name, shell, {}).source()


def answer(program: click.Command, name: str, instruction: str, state: dict[str, object]) -> str:
    """The answer to a script's question; empty for a shell that is not known.

    Args:
        instruction: the value of VARIABLE, such as `bash_complete`.
        state: the object of the program's context.
    """
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return ""
    return _of_shell(program, name, shell, state).complete()


def _of_shell(
    program: click.Command, name: str, shell: str, state: dict[str, object]
) -> ShellComplete:
    add_completion_class(_PowerShell)
    found = get_completion_class(shell)
    assert found is not None, "SHELLS are those that click knows"
    return found(program, {"obj": state}, name, VARIABLE)
