"""`publish`: what is uploaded, and the order in which it becomes visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.errors import AccessDenied, QualityCheckFailed, UsageError
from litertlm.progress import Progress
from litertlm.services.acquire import checkpoint_of, find_installed
from litertlm.services.publish.card import TAG, model_card
from litertlm.services.publish.terms import Terms, check_terms, terms_on_disk, terms_on_hub
from litertlm.services.verify import check_fields, record_report, recorded_checks, verify
from litertlm.settings import Settings
from litertlm.store import InstalledModel, ModelName, Store, parse_name

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient
    from litertlm.hub.upload import Account, RemoteRepo

CARD_FILE = "README.md"


@dataclass(frozen=True)
class PublishRequest:
    """What a user asks for.

    Attributes:
        model: the MODEL argument.
        to: `org/name` of the repository.
        public: whether everybody may see it.
        accepted: the licence of the base model that the user accepts by its name.
        checkpoint: that the bundle is verified with, if not the one on disk.
    """

    model: str
    to: ModelName
    public: bool = False
    accepted: str | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Draft:
    """What would be uploaded."""

    repo: str
    public: bool
    model: InstalledModel
    terms: Terms
    card: str
    checks: tuple[Mapping[str, Any], ...]

    @property
    def files(self) -> dict[str, Path | bytes]:
        """Content, or the file to send, by path in the repository."""
        return {
            CARD_FILE: self.card.encode(),
            **self.terms.texts,
            self.model.bundle.name: self.model.bundle,
        }

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


@dataclass(frozen=True)
class Published:
    """What was uploaded.

    Attributes:
        commit: of the repository.
        account: whose token was used.
    """

    draft: Draft
    url: str
    commit: str
    account: str
    public: bool


def draft(
    request: PublishRequest,
    *,
    store: Store,
    settings: Settings,
    progress: Progress,
    client: HubClient | None = None,
) -> Draft:
    """The card and the files; `verify` runs unless its report for this file is stored.

    Args:
        client: looks up the licence of the base model; None for no network.

    Raises:
        ModelNotFound: the model is not on disk.
        QualityCheckFailed, DamagedBundle: the bundle is not fit to be passed on.
        UsageError: the licence must be accepted first, or is named wrongly.
    """
    model = find_installed(request.model, store=store, settings=settings)
    source = checkpoint_of(model, store, given=request.checkpoint)
    terms = terms_on_disk(model, source)
    if client is not None:
        terms = terms_on_hub(terms, client, progress)
    terms = check_terms(terms, request.accepted, public=request.public)
    checks = recorded_checks(model)
    # The hash at least is computed now.
    parts = ("structure",) if checks else ()
    progress.status("Verifying the bundle...")
    report = verify(model, source, parts=parts, progress=progress)
    if not checks:
        record_report(model, report, store, progress)
    found = [check_fields(check) for check in report.checks]
    checks = [*found, *(c for c in checks if c["name"] not in {f["name"] for f in found})]
    failed = [str(check["name"]) for check in checks if check.get("verdict") == "failed"]
    if failed:
        raise QualityCheckFailed(
            f"{model.name} is not published: it failed these checks: {', '.join(failed)}.",
            hint=f"For the reasons: litert-lm-cli verify {request.model}",
        )
    repo = str(request.to)
    card = model_card(model, repo, terms, checks)
    return Draft(repo, request.public, model, terms, card, tuple(checks))


def publish(
    request: PublishRequest,
    *,
    store: Store,
    settings: Settings,
    progress: Progress,
    client: HubClient,
    confirm: Callable[[Draft, Account, RemoteRepo | None], None],
) -> Published:
    """Upload the bundle.

    A new repository is private until everything is in it.

    Args:
        confirm: asks the user, who must know whose account it is; raises to stop.

    Raises:
        AccessDenied: no token, or one that may not write there.
        UsageError: the repository is public or somebody else's work; others as `draft`.
        NetworkError: the upload failed; the next attempt skips files that are there.
    """
    from litertlm.hub.upload import Uploader

    uploader = Uploader(client, str(request.to), progress)
    account = uploader.account()
    _check_account(account, request.to, client)
    there = uploader.find()
    _check_repository(there, request)
    made = draft(request, store=store, settings=settings, progress=progress, client=client)
    confirm(made, account, there)
    if there is None:
        uploader.create()
        there = uploader.find()
    private = there is None or there.private
    message = f"Upload {made.model.bundle.name} with litert-lm-cli"
    commit = uploader.commit(made.files, message, parent=there.commit if there else None)
    if request.public and private:
        uploader.make_public()
    url = f"{client.endpoint}/{request.to}"
    return Published(made, url, commit, account.name, request.public or not private)


def parse_target(text: str) -> ModelName:
    """The repository that `text` names: `org/name`.

    Raises:
        UsageError: it is not of that form.
    """
    try:
        return parse_name(text)
    except UsageError as error:
        error.hint = "--to takes ORG/NAME: your user name or an organisation, and a new name."
        raise


def _check_account(account: Account, to: ModelName, client: HubClient) -> None:
    source = client.token.source if client.token else ""
    if account.read_only:
        raise AccessDenied(
            f"The token of {account.name} may only read.",
            why=f"It comes from {source}.",
            hint="Create one with write permission: https://huggingface.co/settings/tokens",
        )
    if not account.may_write_to(to.org):
        names = ", ".join((account.name, *account.organisations))
        raise AccessDenied(
            f"{account.name} cannot publish to {to.org}.",
            why=f"The token from {source} can write to: {names}.",
            hint=f"For example: --to {account.name}/{to.name}",
        )


def _check_repository(there: RemoteRepo | None, request: PublishRequest) -> None:
    if there is None:
        return
    if CARD_FILE in there.files and TAG not in there.tags:
        raise UsageError(
            f"{request.to} exists, and was not published by this program.",
            why="Its model card and files would be replaced.",
            hint="Choose another name with --to.",
        )
    if not there.private and not request.public:
        raise UsageError(
            f"{request.to} is public.",
            why="The bundle would be visible to everybody at once.",
            hint="Use --public, or another name with --to.",
        )
