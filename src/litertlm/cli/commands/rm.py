"""`litert-lm-cli rm`."""

from __future__ import annotations

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.units import format_bytes


@make_command("rm")
@model_argument(on_disk=True, many=True)
def command(app: App, models: tuple[str, ...]) -> None:
    """Remove models from disk, with their checkpoints and caches."""
    from litertlm.services.acquire import remove_installed

    removed = []
    for text in models:
        name, freed = remove_installed(
            text, store=app.store, settings=app.settings, progress=app.output
        )
        app.output.status(f"✓ Removed {name} ({format_bytes(freed)})")
        removed.append({"model": str(name), "freed_bytes": freed})
    if app.output.json_wanted:
        app.output.data(removed, "")
