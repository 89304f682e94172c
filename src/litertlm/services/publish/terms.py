"""The base model of a bundle, and the licence under which it may be passed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.errors import LiteRtLmError, UsageError
from litertlm.progress import Progress
from litertlm.services.acquire import CATALOG, lookup
from litertlm.store import InstalledModel, Provenance
from litertlm.store.files import read_regular

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient

_REPO = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.A)
_FRONT_MATTER_LICENCE = re.compile(r"^licen[cs]e:\s*[\"']?([\w.+-]+)", re.M | re.A)
_LARGEST_TEXT = 1 << 20  # bytes


@dataclass(frozen=True)
class Terms:
    """What is known about the base model and its licence.

    Attributes:
        bases: repositories on the Hub: of the checkpoint, and of an adapter's base.
        commits: of `bases`, where they are known.
        licence: as the repository names it, such as `apache-2.0` or `gemma`; None if not known.
        gated: whether it must be accepted on the Hub.
        texts: files of the licence, by name.
    """

    bases: tuple[str, ...] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    gated: bool = False
    texts: Mapping[str, bytes] = field(default_factory=dict)


def terms_on_disk(model: InstalledModel, checkpoint: Path | None) -> Terms:
    """The terms as far as they are known without the network.

    Args:
        checkpoint: the folder or file that the bundle was made from, if it is on disk.
    """
    known = model.provenance
    if known is None:
        return Terms()
    entry = lookup(model.name)
    folder = checkpoint if checkpoint is None or checkpoint.is_dir() else checkpoint.parent
    licence = known.licence or (entry.licence.lower() if entry else None)
    bases = _bases(known)
    return Terms(
        bases=bases,
        commits=_commits(known, bases),
        licence=licence or (None if folder is None else _card_licence(folder)),
        gated=known.gated or bool(entry and entry.gated),
        texts={} if folder is None else _texts(folder),
    )


def terms_on_hub(terms: Terms, client: HubClient, progress: Progress) -> Terms:
    """`terms` with what the Hub says now about the base models, and the texts of their licence.

    A base that cannot be looked up leaves what is known.
    """
    from litertlm.hub.choose import licence_files
    from litertlm.hub.info import repo_info

    for base in terms.bases:
        try:
            info = repo_info(client, base, terms.commits.get(base))
            texts = {
                file.name: client.read(info.repo, info.commit, file.path)
                for file in licence_files(info)
                if file.name not in terms.texts
            }
        except LiteRtLmError as error:
            progress.detail(f"The licence of {base} was not looked up. {error}")
            continue
        terms = replace(
            terms,
            licence=terms.licence or info.licence,
            gated=terms.gated or info.gated,
            texts={**terms.texts, **texts},
        )
    return terms


def check_terms(terms: Terms, accepted: str | None, *, public: bool) -> Terms:
    """`terms` with the licence that the user accepts.

    Args:
        accepted: the licence that the user names (`--i-accept`).

    Raises:
        UsageError: the name is wrong, or one is needed to publish for everybody.
    """
    bases = " and ".join(terms.bases) or "the base model"
    if accepted and terms.licence and accepted.lower() != terms.licence.lower():
        raise UsageError(
            f"The licence of {bases} is {terms.licence}, not {accepted}.",
            hint=f"If you accept its terms: --i-accept {terms.licence}",
        )
    licence = terms.licence or accepted
    if public and not accepted and (terms.gated or licence is None):
        if licence is None:
            what, why = (
                "The licence of the base model is not known.",
                ("A public repository must state the terms of its base model."),
            )
        else:
            what, why = (
                f"The licence of {bases} must be accepted first: {licence}.",
                ("Its repository is gated, and its terms hold for every copy of the model."),
            )
        raise UsageError(
            what,
            why=why,
            hint=f"If you have read and accept its terms: --i-accept {licence or 'LICENCE'}\n"
            "Without --public, the repository is private.",
        )
    return replace(terms, licence=licence)


def _bases(known: Provenance) -> tuple[str, ...]:
    found = []
    for origin in (known.origin, known.base):
        if not origin:
            continue
        packages = [e.package for e in CATALOG if e.package]
        package = next((p for p in packages if origin == f"{p.project} (package)"), None)
        repo = package.checkpoint if package else origin
        if _REPO.fullmatch(repo):  # and not a path, which nobody else should see
            found.append(repo)
    return tuple(found)


def _commits(known: Provenance, bases: tuple[str, ...]) -> dict[str, str]:
    pairs = ((known.origin, known.commit), (known.base, known.base_commit))
    return {name: commit for name, commit in pairs if name in bases and commit}


def _card_licence(folder: Path) -> str | None:
    """The licence in the model card of a local checkpoint."""
    try:
        text = read_regular(folder / "README.md", _LARGEST_TEXT).decode(errors="replace")
    except OSError:
        return None
    if not text.startswith("---"):
        return None
    found = _FRONT_MATTER_LICENCE.search(text.split("\n---", 1)[0])
    return found[1] if found else None


def _texts(folder: Path) -> dict[str, bytes]:
    from litertlm.hub.choose import is_licence_file

    texts = {}
    for path in sorted(folder.iterdir()):
        if is_licence_file(path.name) and path.is_file():
            try:
                texts[path.name] = read_regular(path, _LARGEST_TEXT)
            except OSError:
                continue
    return texts
