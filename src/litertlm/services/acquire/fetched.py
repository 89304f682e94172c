"""What a source of models hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.store import Provenance

if TYPE_CHECKING:
    from litertlm.families import Family


@dataclass(frozen=True)
class FetchedCheckpoint:
    """Checkpoint files on disk, checked, to be converted.

    Attributes:
        path: the folder or the `.gguf` file.
        origin: the repository or package, for the provenance.
        commit: the repository's commit or the package's version.
        base: what `path` is merged into, when it is a LoRA adapter.
        transient: whether it was downloaded for this conversion only.
        family: where it is known already from its config.
        licence, gated: as in the provenance.
    """

    path: Path
    origin: str
    commit: str | None
    base: FetchedCheckpoint | None = None
    transient: bool = False
    family: Family | None = None
    licence: str | None = None
    gated: bool = False


@dataclass(frozen=True)
class FetchedBundle:
    """A ready `.litertlm` file, complete and checked, in the model's folder."""

    path: Path
    provenance: Provenance
