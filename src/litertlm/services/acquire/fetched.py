"""What a source of models hands over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.store import Provenance

if TYPE_CHECKING:
    from litertlm.families import Family
    from litertlm.hub.download import Download


@dataclass(frozen=True)
class ArrivingCheckpoint:
    """A download that is not running yet, and during which its weights are converted.

    Attributes:
        download: weights can be read while they arrive, the other files when they are complete.
        record: records, when all files are verified, that the checkpoint is complete.
    """

    download: Download
    record: Callable[[], None]

    def finish(self) -> None:
        """Wait until all files are complete and verified.

        Raises:
            NetworkError and others: as the download.
        """
        self.download.wait()
        self.record()


@dataclass(frozen=True)
class FetchedCheckpoint:
    """Checkpoint files on disk, checked, to be converted; or such that are still to arrive.

    Attributes:
        path: the folder or the `.gguf` file.
        origin: the repository or package, for the provenance.
        commit: the repository's commit or the package's version.
        base: what `path` is merged into, when it is a LoRA adapter.
        transient: whether it was downloaded for this conversion only.
        family: where it is known already from its config.
        licence, gated: as in the provenance.
        arriving: the download of the files, if they are not there.
    """

    path: Path
    origin: str
    commit: str | None
    base: FetchedCheckpoint | None = None
    transient: bool = False
    family: Family | None = None
    licence: str | None = None
    gated: bool = False
    arriving: ArrivingCheckpoint | None = None


@dataclass(frozen=True)
class FetchedBundle:
    """A ready `.litertlm` file, complete and checked, in the model's folder."""

    path: Path
    provenance: Provenance
