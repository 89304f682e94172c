"""`litert-lm-cli prune`."""

from __future__ import annotations

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.units import format_bytes


@make_command("prune")
@click.option(
    "--caches", is_flag=True, help="Also remove the runtime's caches (rebuilt when needed)."
)
@click.option("--checkpoints", is_flag=True, help="Also remove downloaded checkpoints.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, without removing it.")
def command(app: App, caches: bool, checkpoints: bool, dry_run: bool) -> None:
    """Remove unfinished files of interrupted commands, and bundles that failed their checks."""
    leftovers = app.store.leftovers(caches=caches, checkpoints=checkpoints)
    freed = 0
    for leftover in leftovers:
        if not dry_run:
            app.store.prune(leftover, app.output)
        freed += leftover.size_bytes
        app.output.status(
            f"{app.settings.shown(leftover.path)}: {leftover.reason}, "
            f"{format_bytes(leftover.size_bytes)}"
        )
    app.output.status(f"{'Would free' if dry_run else '✓ Freed'} {format_bytes(freed)}")
    if app.output.json_wanted:
        fields = [
            {"path": str(x.path), "size_bytes": x.size_bytes, "reason": x.reason} for x in leftovers
        ]
        app.output.data(fields, "")
