"""`litert-lm-cli prune`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.errors import UsageError
from litertlm.store import Leftover
from litertlm.units import format_bytes, parse_age, parse_bytes

_T = TypeVar("_T")


def _parsed(parse: Callable[[str], _T | None], form: str) -> Callable[..., _T | None]:
    """A click callback for a value that `parse` understands."""

    def convert(context: click.Context, parameter: click.Parameter, value: Any) -> _T | None:
        if value is None:
            return None
        parsed = parse(value)
        if parsed is None:
            raise click.BadParameter(f"{value!r} is not {form}.", context, parameter)
        return parsed

    return convert


@make_command("prune")
@click.option(
    "--caches", is_flag=True, help="Also remove the runtime's caches (rebuilt when needed)."
)
@click.option("--checkpoints", is_flag=True, help="Also remove downloaded checkpoints.")
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_parsed(parse_age, "an age such as 12h, 30d, 2w or 1y"),
    help="Also remove models that were not used for so long: 30d, 2w, 1y.",
)
@click.option(
    "--keep",
    metavar="SIZE",
    callback=_parsed(parse_bytes, "a size such as 20GB or 500MB"),
    help="Also remove the least recently used models, until SIZE is left: 20GB.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, without removing it.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(
    app: App,
    caches: bool,
    checkpoints: bool,
    older_than: float | None,
    keep: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove unfinished files of interrupted commands, and bundles that failed their checks.

    The plan is shown first. On a terminal it must be confirmed; elsewhere, models are removed only
    with --yes.
    """
    from litertlm.store.retention import is_model, remove_planned

    store = app.store
    plan = _plan(app, caches=caches, checkpoints=checkpoints, older_than=older_than, keep=keep)
    for item in plan:
        what = f"{item.model} (model)" if is_model(store, item) else app.settings.shown(item.path)
        app.output.status(f"{what}: {item.reason}, {format_bytes(item.size_bytes)}")
    total = format_bytes(sum(item.size_bytes for item in plan))
    if not dry_run and plan:
        if not yes and app.output.can_ask:
            if not app.output.confirm(f"Remove this ({total})? [y/N] "):
                raise UsageError("Nothing was removed.")
        elif not yes and any(is_model(store, item) for item in plan):
            raise UsageError(
                "Removing models must be confirmed.",
                why="There is no terminal to ask on.",
                hint="Use --yes to remove them, or --dry-run to see what it would do.",
            )
        for item in plan:
            remove_planned(store, item, app.output)
    app.output.status(f"{'Would free' if dry_run else '✓ Freed'} {total}")
    if app.output.json_wanted:
        fields = [
            {
                "path": str(item.path),
                "size_bytes": item.size_bytes,
                "reason": item.reason,
                "model": str(item.model) if item.model else None,
            }
            for item in plan
        ]
        app.output.data(fields, "")


def _plan(
    app: App, *, caches: bool, checkpoints: bool, older_than: float | None, keep: int | None
) -> list[Leftover]:
    from litertlm.store.retention import surplus_models, unused_models, without_contents

    plan = app.store.leftovers(caches=caches, checkpoints=checkpoints)
    if older_than is not None:
        plan += unused_models(app.store, older_than, time.time())
    if keep is not None:
        plan += surplus_models(app.store, keep, plan)
    return without_contents(plan)
