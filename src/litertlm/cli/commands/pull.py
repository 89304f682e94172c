"""`litert-lm-cli pull`."""

from __future__ import annotations

from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.conversion_options import conversion_options, convert_options
from litertlm.cli.describe import model_fields
from litertlm.cli.hub_options import hub_options


@make_command("pull")
@click.argument("model")
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
    """Download MODEL, and convert it if needed, without running it."""
    from litertlm.services.acquire import AcquireRequest, acquire

    request = AcquireRequest(
        model,
        options=convert_options(**values),
        reconvert=reconvert,
        revision=revision,
        file=file,
        base=base,
        keep_checkpoint=keep_checkpoint,
    )
    installed = acquire(request, store=app.store, settings=app.settings, progress=app.output)
    if app.output.json_wanted:
        app.output.data(model_fields(installed, app.store), "")
