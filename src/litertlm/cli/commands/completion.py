"""`litert-lm-cli completion`."""

from __future__ import annotations

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.shells import SHELLS, script


@make_command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(app: App, shell: str) -> None:
    """Print the completion script of a SHELL: commands, options and names of models.

    \b
    bash:        eval "$(litert-lm-cli completion bash)"          in ~/.bashrc
    zsh:         eval "$(litert-lm-cli completion zsh)"           in ~/.zshrc, after compinit
    fish:        litert-lm-cli completion fish | source           in ~/.config/fish/config.fish
    powershell:  litert-lm-cli completion powershell | Out-String | Invoke-Expression
                                                                  in $PROFILE
    """
    from litertlm.cli.main import PROGRAM, cli

    text = script(cli, PROGRAM, shell)
    app.output.source({"shell": shell, "script": text}, text)
