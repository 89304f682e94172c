"""`litert-lm-cli export`."""

from __future__ import annotations

from pathlib import Path

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.units import format_bytes


@make_command("export")
@progress_option
@model_argument(on_disk=True)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
def command(app: App, model: str, file: Path, force: bool) -> None:
    """Write the bundle of a MODEL on disk to FILE, for a phone or another computer.

    FILE is a .litertlm file, or a folder. Its provenance is stored at its end: every LiteRT-LM
    runtime loads it, and `import` reads it. Paths of this machine are left out.
    """
    from litertlm.services.transfer import export_model

    made = export_model(
        model,
        app.settings.cwd / file,
        force=force,
        store=app.store,
        settings=app.settings,
        progress=app.output,
    )
    app.output.status(
        f"✓ Exported {made.model.name} to {app.settings.shown(made.path)} "
        f"({format_bytes(made.size_bytes)})"
    )
    if app.output.json_wanted:
        fields = {
            "model": made.model.name,
            "path": str(made.path),
            "size_bytes": made.size_bytes,
            "sha256": made.record.sha256,
        }
        app.output.data(fields, "")
