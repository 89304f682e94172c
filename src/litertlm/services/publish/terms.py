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
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.store import InstalledModel, Provenance
from litertlm.store.files import read_regular

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient

_REPO = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.A)
_FRONT_MATTER_LICENCE = re.compile(r"^licen[cs]e:\s*[\"']?([\w.+-]+)", re.M | re.A)
_LARGEST_TEXT = 1 << 20  # bytes
# Must accompany every copy: section 3.1 of https://ai.google.dev/gemma/terms.
_GEMMA_NOTICE = (
    b"Gemma is provided under and subject to the Gemma Terms of Use found at "
    b"ai.google.dev/gemma/terms\n"
)


@dataclass(frozen=True)
class Terms:
    """What is known about the base model and its licence.

    Attributes:
        bases: repositories on the Hub: of an adapter, and of the model.
        commits: of `bases`, where they are known.
        licence: of the model, as its repository names it, such as `apache-2.0` or `gemma`; None if
            it is not known.
        adapter_licence: of an adapter.
        adapter: of `bases`, that of an adapter.
        gated: whether a licence must be accepted on the Hub.
        texts: files of the licences, by name.
    """

    bases: tuple[str, ...] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None
    adapter_licence: str | None = None
    adapter: str | None = None
    gated: bool = False
    texts: Mapping[str, bytes] = field(default_factory=dict)


def terms_on_disk(model: InstalledModel, source: CheckpointSource | None) -> Terms:
    """The terms as far as they are known without the network.

    Args:
        source: what the bundle was made from, if it is on disk.
    """
    known = model.provenance
    if known is None:
        return Terms()
    entry = lookup(model.name)
    folders = [_folder(path) for path in (source.path, source.base) if path] if source else []
    own = known.licence or (entry.licence.lower() if entry else None)
    own = own or (_card_licence(folders[0]) if folders else None)
    model_licence, adapted = own, known.base is not None
    if adapted:
        model_licence = known.base_licence
        model_licence = model_licence or (_card_licence(folders[1]) if len(folders) > 1 else None)
    texts: dict[str, bytes] = {}
    for folder in reversed(folders):
        texts = _with_texts(texts, _texts(folder))
    bases = _bases(known)
    return Terms(
        bases=bases,
        commits=_commits(known, bases),
        licence=model_licence,
        adapter_licence=own if adapted else None,
        adapter=next((b for b in bases if b == known.origin), None) if adapted else None,
        gated=known.gated or bool(entry and entry.gated),
        texts=texts,
    )


def terms_on_hub(terms: Terms, client: HubClient, progress: Progress) -> Terms:
    """`terms` with what the Hub says now about the base models, and the texts of their licence.

    A base that cannot be looked up leaves what is known.
    """
    from litertlm.hub.choose import licence_files
    from litertlm.hub.info import repo_info

    for base in reversed(terms.bases):
        try:
            info = repo_info(client, base, terms.commits.get(base))
            texts = {
                file.name: client.read(info.repo, info.commit, file.path)
                for file in licence_files(info)
            }
        except LiteRtLmError as error:
            progress.detail(f"The licence of {base} was not looked up. {error}")
            continue
        terms = replace(
            terms, gated=terms.gated or info.gated, texts=_with_texts(terms.texts, texts)
        )
        if base == terms.adapter:
            terms = replace(terms, adapter_licence=terms.adapter_licence or info.licence)
        else:
            terms = replace(terms, licence=terms.licence or info.licence)
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
    texts = terms.texts
    if licence and licence.lower() == "gemma" and "NOTICE" not in texts:
        texts = {**texts, "NOTICE": _GEMMA_NOTICE}
    return replace(terms, licence=licence, texts=texts)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _with_texts(texts: Mapping[str, bytes], more: Mapping[str, bytes]) -> dict[str, bytes]:
    """`texts` and `more`, the adapter's; two different files of one name get two names."""
    found = dict(texts)
    for name, text in more.items():
        if text not in found.values():
            found[f"ADAPTER_{name}" if name in found else name] = text
    return found


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
