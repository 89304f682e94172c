"""`litert-lm-cli list`."""

from __future__ import annotations

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.describe import described
from litertlm.cli.output import human_bytes, table


@make_command("list")
def command(app: App) -> None:
    """List the models on disk.

    SIZE is the bundle's; ON DISK adds the runtime's cache and the checkpoint.
    """
    models = [described(model, app.store) for model in app.store.installed()]
    rows = [["MODEL", "SIZE", "ON DISK", "RECIPE", "CREATED"]]
    rows += [
        [
            model["model"],
            human_bytes(model["size_bytes"]),
            human_bytes(model["total_bytes"]),
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
