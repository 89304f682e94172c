"""`litert-lm-cli cp`."""

from __future__ import annotations

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.describe import model_fields


@make_command("cp")
@model_argument(on_disk=True)
@click.argument("name")
@click.option("--force", is_flag=True, help="Replace a model of that name.")
def command(app: App, model: str, name: str, force: bool) -> None:
    """Copy a MODEL on disk to another NAME: org/name, or name for local/name.

    Both share the bytes on disk where the file system has hard links. The checkpoint is not copied.
    """
    from litertlm.services.transfer import copy_model

    made = copy_model(
        model, name, force=force, store=app.store, settings=app.settings, progress=app.output
    )
    app.output.status(f"✓ Copied to {app.settings.shown(made.bundle)}")
    app.output.status(f"To run it: litert-lm-cli run {made.name}")
    if app.output.json_wanted:
        app.output.data(model_fields(made, app.store), "")
