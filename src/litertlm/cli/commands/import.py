"""`litert-lm-cli import`."""

from __future__ import annotations

from pathlib import Path

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.describe import model_fields


@make_command("import")
@progress_option
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@click.option("--force", is_flag=True, help="Replace a model of that name.")
def command(app: App, file: Path, name: str | None, force: bool) -> None:
    """Check a .litertlm FILE and copy it into the models folder.

    NAME is org/name, or name for local/name. Without it, the name comes from the file's provenance,
    which `export` stores at its end, or from the file's name.
    """
    from litertlm.services.transfer import import_bundle

    made = import_bundle(
        app.settings.cwd / file, name, force=force, store=app.store, progress=app.output
    )
    app.output.status(f"✓ Imported {made.name} ({app.settings.shown(made.bundle)})")
    app.output.status(f"To run it: litert-lm-cli run {made.name}")
    if app.output.json_wanted:
        app.output.data(model_fields(made, app.store), "")
