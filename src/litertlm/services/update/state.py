"""Whether a model on disk is the newest that can be had."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.errors import ModelNotFound
from litertlm.services.acquire import CATALOG, lookup
from litertlm.services.convert import missing_changes
from litertlm.store import LOCAL_ORG, InstalledModel, Provenance, safe_part

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient
    from litertlm.hub.info import RepoInfo

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = 8  # characters of a commit in messages


@dataclass(frozen=True)
class State:
    """What is known about a model on disk.

    Attributes:
        reasons: why it should be renewed, one line each.
        obstacle: why it cannot be renewed or compared; empty if it can.
        newer: the commit or version that its source has now, if it is another.
        same_content: the newer commit has the same bundle: only the record is to be changed.
    """

    model: InstalledModel
    reasons: tuple[str, ...] = ()
    obstacle: str = ""
    newer: str | None = None
    same_content: bool = False

    @property
    def outdated(self) -> bool:
        """Whether there is something to do that can be done."""
        return bool(self.reasons) and not self.obstacle


def state_of(model: InstalledModel, client: HubClient | None) -> State:
    """Compare a model with its source, from metadata alone.

    Args:
        client: None for no network; newer commits are not looked for then.

    Raises:
        NetworkError, AccessDenied, ...: the Hub cannot be asked.
    """
    known = model.provenance
    if known is None:
        return State(model, obstacle="its origin is not known")
    improved = tuple(f"converted by an older version: {c.text}" for c in missing_changes(known))
    if known.source == "package registry":
        return _of_package(model, known, improved)
    if known.source == "local":
        return _of_local(model, known, improved)
    return _of_hub(model, known, improved, client)


def _of_package(model: InstalledModel, known: Provenance, improved: tuple[str, ...]) -> State:
    entry = lookup(model.name)
    if entry is None or entry.package is None:
        return State(model, improved, _copy_of(_alias_of(known.origin)))
    version = entry.package.version
    if version == known.commit:
        return State(model, improved)
    return State(model, (f"version {version} of {entry.package.project}", *improved), newer=version)


def _of_local(model: InstalledModel, known: Provenance, improved: tuple[str, ...]) -> State:
    path = Path(known.origin)
    if not improved:
        return State(model)
    if known.recipe is None or not path.is_absolute() or not path.exists():
        return State(model, improved, f"its checkpoint {path.name} is not on disk")
    own = f"{LOCAL_ORG}/{safe_part(path.stem if path.is_file() else path.name)}"
    if not model.name.startswith(own):
        return State(model, improved, _copy_of(own))
    return State(model, improved)


def _of_hub(
    model: InstalledModel, known: Provenance, improved: tuple[str, ...], client: HubClient | None
) -> State:
    if model.name.startswith(f"{LOCAL_ORG}/"):
        return State(model, improved, _copy_of(known.origin))
    if client is None or (known.revision and _COMMIT.fullmatch(known.revision)):
        return State(model, improved)
    from litertlm.hub.info import repo_info

    try:
        info = repo_info(client, model.name, known.revision)
    except ModelNotFound:
        if model.name == known.origin:
            raise
        info = None
    if info is None or info.repo != known.origin:  # the Hub knows former names of a repository
        return State(model, improved, _copy_of(known.origin))
    if info.commit == known.commit:
        return State(model, improved)
    was = (known.commit or "unknown")[:_SHORT]
    reason = f"newer commit {info.commit[:_SHORT]} (was {was})"
    same = known.recipe is None and _has_bundle(info, known.sha256)
    return State(model, (reason, *improved), newer=info.commit, same_content=same)


def _has_bundle(info: RepoInfo, sha256: str) -> bool:
    return any(file.sha256 == sha256 for file in info.files)


def _alias_of(origin: str) -> str:
    """The short name of the model that comes from a package."""
    packages = ((entry.alias, entry.package) for entry in CATALOG if entry.package)
    return next((alias for alias, p in packages if origin.startswith(p.project)), origin)


def _copy_of(origin: str) -> str:
    return f"it is a copy: update {origin}, and copy it again"
