"""Where a bundle came from: the `<bundle name>.json` beside it.

A bundle and its record are two files, and a process may be killed after any of its steps. So the
record comes first, under another name and with the time of the file that is about to be renamed
(`announce_provenance`). Whoever finds a bundle of that time knows that the announced record is its
own; `write_provenance` and `settle` then give it its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from litertlm.store.files import write_whole
from litertlm.store.names import BUNDLE_SUFFIX


@dataclass(frozen=True)
class Provenance:
    """What is known about a bundle. Field names are those of the file and of `--json`.

    Attributes:
        model: `org/name`.
        source: `hub`, `package registry` or `local`.
        origin: the repository, package or path that the checkpoint or bundle came from.
        commit: the repository's commit, or the package's version.
        revision: the branch or tag that was asked for; None for the default branch.
        recipe: the quantization recipe, None for a bundle that was downloaded ready.
        options: the other conversion options.
        parameters: the model's size in words, such as `270m`.
        base, base_commit: of a LoRA adapter: what it was merged into, as `origin` and `commit`.
        fingerprint: of a local checkpoint's files, to notice that they changed.
        sha256, size_bytes: of the bundle.
        created: ISO 8601 in UTC.
        versions: of the programs that made it.
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
    fingerprint: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


def provenance_path(bundle: Path) -> Path:
    """`<bundle name>.json` beside the bundle."""
    return bundle.with_suffix(".json")


def timestamp() -> str:
    """Now, as in `created`."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def announce_provenance(bundle: Path, coming: Path, provenance: Provenance) -> None:
    """Write the record of the file `coming`, which is about to be renamed to `bundle`."""
    data = {"mtime_ns": coming.stat().st_mtime_ns, "provenance": asdict(provenance)}
    write_whole(_announced_path(bundle), json.dumps(data).encode())


def write_provenance(bundle: Path, provenance: Provenance) -> None:
    """Write the record of a bundle that is in its place."""
    data = json.dumps(asdict(provenance), indent=2) + "\n"
    write_whole(provenance_path(bundle), data.encode())
    _announced_path(bundle).unlink(missing_ok=True)


def provenance_of(bundle: Path) -> Provenance | None:
    """The provenance of a bundle; None when there is none or it is not one (a bundle that was
    copied here by hand works all the same)."""
    announced = _announced(bundle)
    return read_provenance(provenance_path(bundle)) if announced is None else announced


def settle(folder: Path) -> None:
    """Give the announced records of killed runs their place, or remove them; the model's lock is
    held."""
    for path in folder.glob(f".*{_ANNOUNCED_SUFFIX}"):
        bundle = folder / f"{path.name[1 : -len(_ANNOUNCED_SUFFIX)]}{BUNDLE_SUFFIX}"
        announced = _announced(bundle)
        if announced is None:
            path.unlink(missing_ok=True)
        else:
            write_provenance(bundle, announced)


_ANNOUNCED_SUFFIX = ".json.new"


def _announced_path(bundle: Path) -> Path:
    return bundle.with_name(f".{bundle.stem}{_ANNOUNCED_SUFFIX}")


def _announced(bundle: Path) -> Provenance | None:
    """The announced record, if it is that of the file that is there."""
    try:
        data = json.loads(_announced_path(bundle).read_bytes())
        if bundle.stat().st_mtime_ns == data["mtime_ns"]:
            return _parsed(data["provenance"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def read_provenance(path: Path) -> Provenance | None:
    """The provenance in `path`; None when there is none or it is not one."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return _parsed(data)


def _parsed(data: object) -> Provenance | None:
    """Fields of newer versions are ignored."""
    if not isinstance(data, dict):
        return None
    known = {f.name for f in fields(Provenance)}
    try:
        return Provenance(**{key: value for key, value in data.items() if key in known})
    except TypeError:  # a required field is missing
        return None
