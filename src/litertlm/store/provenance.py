"""Where a bundle came from: the `<bundle name>.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from litertlm.store.files import write_whole


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

    def write(self, path: Path) -> None:
        """Write the file whole."""
        write_whole(path, (json.dumps(asdict(self), indent=2) + "\n").encode())


def read_provenance(path: Path) -> Provenance | None:
    """The provenance in `path`; None when there is none or it is not one (a bundle that was
    copied here by hand works all the same). Fields of newer versions are ignored."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    known = {f.name for f in fields(Provenance)}
    try:
        return Provenance(**{key: value for key, value in data.items() if key in known})
    except TypeError:  # a required field is missing
        return None
