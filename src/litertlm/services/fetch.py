"""What a source of models hands over, and the seam to the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from litertlm.errors import NetworkError
from litertlm.progress import Progress
from litertlm.services.reference import HubModel, not_found
from litertlm.settings import Settings


@dataclass(frozen=True)
class FetchedCheckpoint:
    """Checkpoint files on disk, checked, to be converted.

    Attributes:
        path: the folder or the `.gguf` file.
        origin: the repository or package, for the provenance.
        commit: the repository's commit or the package's version.
    """

    path: Path
    origin: str
    commit: str | None


@dataclass(frozen=True)
class FetchedBundle:
    """A ready `.litertlm` file, whole and checked, in the model's folder."""

    path: Path
    origin: str
    commit: str | None
    sha256: str


def fetch_from_hub(
    model: HubModel, folder: Path, *, settings: Settings, progress: Progress
) -> FetchedBundle | FetchedCheckpoint:
    """Download what the repository has into `folder` (the model's folder; its lock is held):
    a ready bundle beside the provenance file, or a checkpoint into `folder/checkpoint`.

    Raises:
        ModelNotFound, AccessDenied, GatedModel, NetworkError, NotEnoughResources,
        UnsupportedModel.
    """
    if settings.offline:
        raise NetworkError(
            f"{model.name} is not on disk, and HF_HUB_OFFLINE forbids the network.",
        )
    raise not_found(str(model.name))
