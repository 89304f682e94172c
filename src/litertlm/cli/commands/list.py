"""`litert-lm-cli list`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.describe import checkpoint_fields, model_fields
from litertlm.cli.output import table
from litertlm.units import format_bytes

# Field of `--json` by which each order sorts, descending.
_ORDERS = {"size": "total_bytes", "date": "created", "used": "used"}


@make_command("list")
@click.option(
    "--sort",
    type=click.Choice(["name", *_ORDERS]),
    default="name",
    show_default=True,
    help="size: largest first; date: newest first; used: most recently used first.",
)
@click.option(
    "--filter",
    "pattern",
    metavar="TEXT",
    help="Only models whose name contains TEXT, in any letter case; * and ? are wildcards.",
)
def command(app: App, sort: str, pattern: str | None) -> None:
    """List models on disk.

    SIZE is the size of the bundle. ON DISK also counts the runtime's cache and the checkpoint. A
    model without a SIZE is a checkpoint without a bundle, such as the base model of an adapter.
    """
    models = [model_fields(model, app.store) for model in app.store.installed()]
    models += [checkpoint_fields(name, app.store) for name in app.store.checkpoints_only()]
    found = [model for model in models if _matches(str(model["model"]), pattern)]
    found.sort(key=lambda model: str(model["model"]))
    if field := _ORDERS.get(sort):
        dated = [model for model in found if model[field] is not None]
        dated.sort(key=lambda model: model[field], reverse=True)
        found = [*dated, *(model for model in found if model[field] is None)]
    if not found:
        where = app.settings.shown(app.store.root)
        if models:
            app.output.status(f"No model in {where} matches {pattern}.")
        else:
            app.output.status(f"No models in {where}.")
            app.output.status("Try: litert-lm-cli run demo")
        if not app.output.json_wanted:
            return
    app.output.data(found, _table(found, used=sort == "used"))


def _matches(name: str, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(name.lower(), f"*{pattern.lower()}*")


def _table(models: list[dict[str, Any]], *, used: bool) -> str:
    rows = [["MODEL", "SIZE", "ON DISK", "RECIPE", "USED" if used else "CREATED"]]
    rows += [
        [
            model["model"],
            format_bytes(model["size_bytes"]) if model["path"] else "-",
            format_bytes(model["total_bytes"]),
            model["recipe"] or "-",
            (model["used" if used else "created"] or "-")[:10],
        ]
        for model in models
    ]
    return table(rows, right=frozenset({1, 2}))
