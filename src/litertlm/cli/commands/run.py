"""`litert-lm-cli run`."""

from __future__ import annotations

from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.conversion_options import chosen, conversion_options
from litertlm.cli.hub_options import hub_options


@make_command("run")
@click.argument("model")
@click.option("--reconvert", is_flag=True, help="Make the bundle anew.")
@conversion_options
@hub_options
def command(
    app: App,
    model: str,
    reconvert: bool,
    revision: str | None,
    file: str | None,
    keep_checkpoint: bool,
    **values: Any,
) -> None:
    """Chat with MODEL, or get one answer with --prompt or piped input.

    A model that is not on disk is downloaded, and converted if it needs to be.
    """
    from litertlm.services.acquire import AcquireRequest, acquire

    request = AcquireRequest(
        model,
        options=chosen(**values),
        reconvert=reconvert,
        revision=revision,
        file=file,
        keep_checkpoint=keep_checkpoint,
    )
    acquire(request, store=app.store, settings=app.settings, progress=app.output)
