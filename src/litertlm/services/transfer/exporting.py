"""`export`: a bundle as one file with its provenance, for a phone or another computer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from litertlm.errors import DamagedBundle, UsageError
from litertlm.progress import Progress
from litertlm.services.acquire import find_installed
from litertlm.services.transfer.target_name import check_space
from litertlm.settings import Settings
from litertlm.store import (
    BUNDLE_SUFFIX,
    InstalledModel,
    Provenance,
    Store,
    check_integrity,
    encode_record,
    read_record,
    timestamp,
)
from litertlm.store.files import atomic_write, copy_hashed


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        size_bytes: of the file, the record included.
        record: the provenance in it.
    """

    model: InstalledModel
    path: Path
    size_bytes: int
    record: Provenance


def export_model(
    model: str,
    path: Path,
    *,
    force: bool,
    store: Store,
    settings: Settings,
    progress: Progress,
) -> Exported:
    """Write the bundle of `model`, which is on disk, and its provenance to a file.

    The record has no path of this machine.

    Args:
        path: the file, or a folder for a file with the bundle's name.
        force: replace an existing file.

    Raises:
        ModelNotFound: the model is not on disk.
        UsageError: the file exists, or has another suffix.
        DamagedBundle: the bundle is not the one that was recorded; nothing is written.
        NotEnoughResources: the disk is full.
    """
    source = find_installed(model, store=store, settings=settings)
    if path.is_dir():
        path /= source.bundle.name
    if path.suffix != BUNDLE_SUFFIX:
        raise UsageError(
            f"The file must end with {BUNDLE_SUFFIX}: {path.name}.",
            hint=f"For example: {path.with_suffix(BUNDLE_SUFFIX).name}",
        )
    if path.exists() and path.samefile(source.bundle):
        raise UsageError(f"{path} is the model's own file.", hint="Choose another file.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already.", hint="Replace it with --force.")
    check_integrity(source)
    inside = read_record(source.bundle)  # of a file that was exported before
    known = source.provenance or inside
    size = inside.size_bytes if inside else source.bundle.stat().st_size
    check_space(path.absolute().parent, size, path.name)
    with (
        atomic_write(path) as temporary,
        progress.task(f"Exporting {source.name}", size) as task,
    ):
        sha256 = copy_hashed(source.bundle, temporary, size, task.advance)
        if known is not None and known.sha256 != sha256:
            raise DamagedBundle(
                f"{source.bundle} is damaged; it was not exported.",
                why="Its SHA-256 differs from the one recorded when it was made.",
                hint=f"Convert it again: litert-lm-cli run {source.name} --reconvert",
            )
        record = _without_paths(known or _unknown(source, sha256, size))
        with temporary.open("ab") as file:
            file.write(encode_record(record))
        total = temporary.stat().st_size
    return Exported(source, path, total, record)


def _unknown(source: InstalledModel, sha256: str, size: int) -> Provenance:
    """The record of a bundle that was copied into the models folder by hand."""
    return Provenance(
        model=source.name,
        source="local",
        origin=source.bundle.name,
        sha256=sha256,
        size_bytes=size,
        created=timestamp(),
    )


def _without_paths(record: Provenance) -> Provenance:
    """Of local checkpoints, the name alone: the path means nothing elsewhere, and names users."""
    base = record.base
    return replace(
        record,
        origin=_name_of(record.origin),
        base=None if base is None else _name_of(base),
    )


def _name_of(origin: str) -> str:
    return Path(origin).name if Path(origin).is_absolute() else origin
