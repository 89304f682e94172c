"""`litert-lm-cli pull`."""

from __future__ import annotations

from typing import Any

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.conversion_options import conversion_options, convert_options
from litertlm.cli.describe import model_fields
from litertlm.cli.errors import format_error
from litertlm.cli.hub_options import hub_options
from litertlm.errors import LiteRtLmError


@make_command("pull")
@progress_option
@model_argument(many=True)
@click.option("--reconvert", is_flag=True, help="Convert again if the bundle exists.")
@conversion_options
@hub_options
def command(
    app: App,
    models: tuple[str, ...],
    reconvert: bool,
    revision: str | None,
    file: str | None,
    base: str | None,
    keep_checkpoint: bool,
    **values: Any,
) -> None:
    """Download each MODEL, and convert it if needed, without running it.

    A model that fails does not stop the others; the exit code is that of the first failure.
    """
    from litertlm.services.acquire import AcquireRequest, acquire

    for_one = {"--revision": revision, "--file": file, "--base": base}
    if len(models) > 1 and (given := [name for name, value in for_one.items() if value]):
        raise click.UsageError(f"{given[0]} needs a single MODEL.")
    pulled: list[dict[str, Any]] = []
    failures: list[LiteRtLmError] = []
    for number, model in enumerate(models, 1):
        request = AcquireRequest(
            model,
            options=convert_options(**values),
            reconvert=reconvert,
            revision=revision,
            file=file,
            base=base,
            keep_checkpoint=keep_checkpoint,
        )
        try:
            with app.output.about(model, number, len(models)):
                installed = acquire(
                    request, store=app.store, settings=app.settings, progress=app.output
                )
                app.output.event("ready", path=str(installed.bundle))
        except LiteRtLmError as error:
            if failures:  # the first one is reported at the end
                app.output.note(format_error(error))
            failures.append(error)
        else:
            pulled.append(model_fields(installed, app.store))
    if app.output.json_wanted and pulled:
        app.output.data(pulled if len(models) > 1 else pulled[0], "")
    if failures:
        raise failures[0]
