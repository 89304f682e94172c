"""What a source of models hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from litertlm.store import Provenance


@dataclass(frozen=True)
class FetchedCheckpoint:
    """Checkpoint files on disk, checked, to be converted.

    Attributes:
        path: the folder or the `.gguf` file.
        origin: the repository or package, for the provenance.
        commit: the repository's commit or the package's version.
        base: what `path` is merged into, when it is a LoRA adapter.
        passing: it was downloaded for this conversion alone.
    """

    path: Path
    origin: str
    commit: str | None
    base: FetchedCheckpoint | None = None
    passing: bool = False


@dataclass(frozen=True)
class FetchedBundle:
    """A ready `.litertlm` file, whole and checked, in the model's folder."""

    path: Path
    provenance: Provenance
