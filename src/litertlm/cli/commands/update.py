"""`litert-lm-cli update`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.errors import format_error
from litertlm.errors import LiteRtLmError

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient
    from litertlm.store import InstalledModel


@make_command("update")
@progress_option
@model_argument(on_disk=True, many=True, required=False)
@click.option("--dry-run", is_flag=True, help="Show what is outdated, without changing anything.")
def command(app: App, models: tuple[str, ...], dry_run: bool) -> None:
    """Update models on disk; without MODEL, all of them.

    A model is downloaded and converted again if its repository on the Hub has a newer commit, or
    if the conversion has improved since; with the same options, and from the checkpoint on disk if
    that is the newest. A model that fails does not stop the others; the exit code is that of the
    first failure.
    """
    from litertlm.services.acquire import find_installed

    store, settings = app.store, app.settings
    if models:
        found = [find_installed(text, store=store, settings=settings) for text in models]
    else:
        found = store.installed()
    client = _client(app, found)
    results: list[dict[str, Any]] = []
    failures: list[LiteRtLmError] = []
    for number, model in enumerate(found, 1):
        try:
            with app.output.about(model.name, number, len(found)):
                results.append(_update(app, model, client, dry_run=dry_run))
        except LiteRtLmError as error:
            if failures:  # the first one is reported at the end
                app.output.note(format_error(error))
            failures.append(error)
    if not found:
        app.output.status(f"No models in {settings.shown(store.root)}.")
    if app.output.json_wanted:
        app.output.data(results, "")
    if failures:
        raise failures[0]


def _client(app: App, models: list[InstalledModel]) -> HubClient | None:
    """The Hub, if a model is from there and the network may be used."""
    if not any(m.provenance and m.provenance.source == "hub" for m in models):
        return None
    if app.settings.offline:
        app.output.warn("HF_HUB_OFFLINE is set: newer commits on the Hub are not looked for.")
        return None
    from litertlm.hub.endpoint import check_endpoint

    check_endpoint(app.settings.environment)
    from litertlm.hub.client import open_client

    return open_client(app.settings.environment, app.settings.cwd, app.output)


def _update(
    app: App, model: InstalledModel, client: HubClient | None, *, dry_run: bool
) -> dict[str, Any]:
    from litertlm.services.update import renew, state_of

    state = state_of(model, client)
    for reason in state.reasons:
        app.output.status(f"{model.name}: {reason}")
    if state.obstacle:
        app.output.status(f"{model.name}: not updated: {state.obstacle}")
    elif not state.outdated:
        app.output.status(f"✓ {model.name} is up to date")
    elif dry_run:
        app.output.status(f"{model.name} would be updated")
    else:
        model = renew(state, store=app.store, settings=app.settings, progress=app.output)
        app.output.status(f"✓ {model.name} is updated")
    known = model.provenance
    return {
        "model": model.name,
        "path": str(model.bundle),
        "outdated": state.outdated,
        "updated": state.outdated and not dry_run,
        "reasons": list(state.reasons),
        "obstacle": state.obstacle or None,
        "commit": known.commit if known else None,
        "newer": state.newer,
        "sha256": known.sha256 if known else None,
    }
