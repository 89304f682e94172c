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
        again: downloads all files to the disk, for when their bytes were not what was expected.
        record: records, when all files are verified and on disk, that the checkpoint is complete.
    """

    download: Download
    again: Callable[[], None]
    record: Callable[[], None]

    @property
    def streamed(self) -> bool:
        """Whether the weights are not written to the disk."""
        return self.download.streamed

    def finish(self) -> None:
        """Wait until all files are complete and verified, and what was read of them is right.

        Raises:
            Restarted: what was read is not. NetworkError and others: as the download.
        """
        self.download.wait()
        self.download.check_read()
        if not self.streamed:
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
