"""`litert-lm-cli list`."""

from __future__ import annotations

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.describe import checkpoint_fields, model_fields
from litertlm.cli.output import table
from litertlm.units import format_bytes


@make_command("list")
def command(app: App) -> None:
    """List models on disk.

    SIZE is the size of the bundle. ON DISK also counts the runtime's cache and the checkpoint. A
    model without a SIZE is a checkpoint without a bundle, such as the base model of an adapter.
    """
    models = [model_fields(model, app.store) for model in app.store.installed()]
    models += [checkpoint_fields(name, app.store) for name in app.store.checkpoints_only()]
    models.sort(key=lambda model: str(model["model"]))
    rows = [["MODEL", "SIZE", "ON DISK", "RECIPE", "CREATED"]]
    rows += [
        [
            model["model"],
            format_bytes(model["size_bytes"]) if model["path"] else "-",
            format_bytes(model["total_bytes"]),
            model["recipe"] or "-",
            (model["created"] or "-")[:10],
        ]
        for model in models
    ]
    if not models:
        app.output.status(f"No models in {app.settings.shown(app.store.root)}.")
        app.output.status("Try: litert-lm-cli run demo")
        if not app.output.json_wanted:
            return
    app.output.data(models, table(rows, right=frozenset({1, 2})))
