"""`litert-lm-cli publish`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.errors import UsageError
from litertlm.units import format_bytes

if TYPE_CHECKING:
    from litertlm.hub.upload import Account, RemoteRepo
    from litertlm.services.publish import Draft


@make_command("publish")
@progress_option
@model_argument(on_disk=True)
@click.option("--to", required=True, metavar="ORG/NAME", help="The repository on the Hub.")
@click.option("--public", is_flag=True, help="Let everybody see it.  [default: private]")
@click.option("--dry-run", is_flag=True, help="Print the model card; use no network.")
@click.option(
    "--i-accept",
    "accepted",
    metavar="LICENCE",
    help="Accept the licence of the base model, by its name: needed to publish a gated model.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    help="Token with write permission, visible to other users of this machine: prefer HF_TOKEN.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="The checkpoint of MODEL, to verify it.  [default: the one on disk]",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def command(
    app: App,
    model: str,
    to: str,
    public: bool,
    dry_run: bool,
    accepted: str | None,
    token: str | None,
    checkpoint: Path | None,
    yes: bool,
) -> None:
    """Upload MODEL's bundle to the Hugging Face Hub, with a model card.

    The card has the provenance, the licence, the recipe and the results of `verify`, which runs
    unless it did before. The repository is private unless --public is used.
    """
    from litertlm.services import publish as service

    if not (dry_run or yes or app.output.can_ask):
        raise UsageError(
            "Publishing must be confirmed.",
            why="There is no terminal to ask on.",
            hint="Use --yes to publish without a question, or --dry-run to see what it would do.",
        )
    if token is not None:
        app.use_token(token)
    request = service.PublishRequest(
        model, service.parse_target(to), public=public, accepted=accepted, checkpoint=checkpoint
    )
    if dry_run:
        made = service.draft(request, store=app.store, settings=app.settings, progress=app.output)
        _print_files(app, made)
        app.output.data({**_fields(made), "dry_run": True, "card": made.card}, made.card)
        return
    from litertlm.hub.endpoint import check_endpoint

    check_endpoint(app.settings.environment)
    from litertlm.hub.client import open_client

    client = open_client(app.settings.environment, app.settings.cwd, app.output, given=token)

    def confirm(made: Draft, account: Account, there: RemoteRepo | None) -> None:
        source = client.token.source if client.token else ""
        seen = "public" if made.public else "private"
        state = "new" if there is None else "update"
        app.output.status(f"Account: {account.name} (token from {source})")
        app.output.status(f"Repository: {made.repo} ({state}, {seen})")
        _print_files(app, made)
        if not yes and not app.output.confirm(f"Publish to {made.repo} as {account.name}? [y/N] "):
            raise UsageError("Not published.")

    with app.output.about(model):
        published = service.publish(
            request,
            store=app.store,
            settings=app.settings,
            progress=app.output,
            client=client,
            confirm=confirm,
        )
    seen = "public" if published.public else "private"
    app.output.status(f"✓ Published to {published.url} ({seen})")
    app.output.status(f"To run it: litert-lm-cli run {published.draft.repo}")
    if app.output.json_wanted:
        fields = {"url": published.url, "commit": published.commit, "account": published.account}
        app.output.data({**_fields(published.draft), **fields, "dry_run": False}, "")


def _print_files(app: App, made: Draft) -> None:
    licence = made.terms.licence or "not known"
    app.output.status(f"Licence: {licence}")
    for name, size in made.sizes.items():
        app.output.status(f"  {name}  {format_bytes(size)}")


def _fields(made: Draft) -> dict[str, Any]:
    """The fields of `--json`."""
    return {
        "model": made.model.name,
        "repo": made.repo,
        "public": made.public,
        "base_models": list(made.terms.bases),
        "licence": made.terms.licence,
        "gated": made.terms.gated,
        "files": [{"path": name, "size_bytes": size} for name, size in made.sizes.items()],
    }
