"""`litert-lm-cli show`."""

from __future__ import annotations

from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.describe import described
from litertlm.cli.output import human_bytes


@make_command("show")
@click.argument("model")
def command(app: App, model: str) -> None:
    """Show what is known about MODEL, which is on disk: sizes, recipe, where it came from."""
    from litertlm.services.acquire import find_installed

    installed = find_installed(model, store=app.store, settings=app.settings)
    fields = described(installed, app.store)
    app.output.data(fields, "\n".join(_lines(fields)))


def _lines(fields: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in fields.items():
        if value in (None, {}):
            continue
        if name.endswith("_bytes"):
            name, value = name.removesuffix("_bytes"), human_bytes(value)
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        lines.append(f"{name:<12}{value}")
    return lines
