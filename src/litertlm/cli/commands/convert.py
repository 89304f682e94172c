"""`litert-lm-cli convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.conversion_options import chosen, conversion_options
from litertlm.cli.describe import described
from litertlm.cli.hub_options import hub_options


@make_command("convert")
@click.argument("model")
@conversion_options
@hub_options
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where ORG/NAME/NAME.litertlm is put.  [default: the models folder]",
)
@click.option("--force", is_flag=True, help="Convert although a bundle is there.")
def command(
    app: App,
    model: str,
    output_dir: Path | None,
    force: bool,
    revision: str | None,
    file: str | None,
    keep_checkpoint: bool,
    **values: Any,
) -> None:
    """Convert MODEL's checkpoint to a .litertlm bundle."""
    from litertlm.services.acquire import AcquireRequest, acquire
    from litertlm.store import Store

    store = Store(app.settings.cwd / output_dir) if output_dir else app.store
    request = AcquireRequest(
        model,
        options=chosen(**values),
        reconvert=force,
        revision=revision,
        file=file,
        keep_checkpoint=keep_checkpoint,
    )
    installed = acquire(request, store=store, settings=app.settings, progress=app.output)
    if app.output.json_wanted:
        app.output.data(described(installed, store), "")
