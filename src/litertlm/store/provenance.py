"""Where a bundle came from: the `<bundle name>.json` beside it.

A bundle and its record are two files, and a process may be killed between any two steps. So the
record is staged first, under another name and with the modification time of the file that is about
to be renamed (`stage_provenance`). A bundle with that modification time belongs to the staged
record; `write_provenance` and `commit_staged` then rename the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from litertlm.store.files import atomic_write_bytes, read_regular
from litertlm.store.names import BUNDLE_SUFFIX


@dataclass(frozen=True)
class Provenance:
    """The record of a bundle. Field names are those of the file and of `--json`.

    Attributes:
        model: `org/name`.
        source: `hub`, `package registry` or `local`.
        origin: the repository, package or path that the checkpoint or bundle came from.
        commit: the repository's commit, or the version of the package.
        revision: the requested branch or tag; None for the default branch.
        recipe: the quantization recipe; None for a bundle that was downloaded.
        options: the other conversion options.
        parameters: the model's size, such as `270m`.
        base, base_commit: for a LoRA adapter, `origin` and `commit` of its base model.
        licence, base_licence: of the checkpoint or bundle, and of an adapter's base, as their
            repositories name them.
        gated: whether one of them had to be accepted on the Hub.
        fingerprint: of a local checkpoint's files, to detect changes.
        sha256, size_bytes: of the bundle.
        created: ISO 8601 in UTC.
        versions: of the programs that made it.
        verified: the last report of `verify`: when (`created`), and its `checks`.
    """

    model: str
    source: str
    origin: str
    sha256: str
    size_bytes: int
    created: str
    commit: str | None = None
    revision: str | None = None
    recipe: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: str | None = None
    base: str | None = None
    base_commit: str | None = None
    licence: str | None = None
    base_licence: str | None = None
    gated: bool = False
    fingerprint: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    verified: Mapping[str, Any] | None = None


def provenance_path(bundle: Path) -> Path:
    """`<bundle name>.json` beside the bundle."""
    return bundle.with_suffix(".json")


def timestamp() -> str:
    """Now, as in `created`."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def stage_provenance(bundle: Path, temp_path: Path, provenance: Provenance) -> None:
    """Write the record of the file `temp_path`, which is about to be renamed to `bundle`."""
    data = {"mtime_ns": temp_path.stat().st_mtime_ns, "provenance": asdict(provenance)}
    atomic_write_bytes(_staged_path(bundle), json.dumps(data).encode())


def write_provenance(bundle: Path, provenance: Provenance) -> None:
    """Write the record of a bundle that has its final name."""
    data = json.dumps(asdict(provenance), indent=2) + "\n"
    atomic_write_bytes(provenance_path(bundle), data.encode())
    _staged_path(bundle).unlink(missing_ok=True)


def provenance_of(bundle: Path) -> Provenance | None:
    """The provenance of a bundle; None if there is none or it cannot be read: a bundle that was
    copied here by hand works as well."""
    staged = _staged(bundle)
    return read_provenance(provenance_path(bundle)) if staged is None else staged


def commit_staged(folder: Path) -> None:
    """Rename the staged records of killed runs, or remove those that belong to no bundle.

    The caller has the model's lock.
    """
    for path in folder.glob(f".*{_STAGED_SUFFIX}"):
        bundle = folder / f"{path.name[1 : -len(_STAGED_SUFFIX)]}{BUNDLE_SUFFIX}"
        staged = _staged(bundle)
        if staged is None:
            path.unlink(missing_ok=True)
        else:
            write_provenance(bundle, staged)


_STAGED_SUFFIX = ".json.new"


def _staged_path(bundle: Path) -> Path:
    return bundle.with_name(f".{bundle.stem}{_STAGED_SUFFIX}")


def _staged(bundle: Path) -> Provenance | None:
    """The staged record, if it is that of the bundle on disk."""
    try:
        data = json.loads(read_regular(_staged_path(bundle)))
        if bundle.stat().st_mtime_ns == data["mtime_ns"]:
            return _parsed(data["provenance"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def read_provenance(path: Path) -> Provenance | None:
    """The provenance in `path`; None when there is none or it is not one."""
    try:
        return parse_provenance(read_regular(path))
    except OSError:
        return None


def parse_provenance(data: bytes) -> Provenance | None:
    """The provenance in the JSON text `data`; None when it is not one."""
    try:
        return _parsed(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _parsed(data: object) -> Provenance | None:
    """Fields of newer versions are ignored."""
    if not isinstance(data, dict):
        return None
    known = {f.name for f in fields(Provenance)}
    try:
        return Provenance(**{key: value for key, value in data.items() if key in known})
    except TypeError:  # a required field is missing
        return None
