"""Models on disk, by what a user calls them. Nothing is downloaded or converted here."""

from __future__ import annotations

from pathlib import Path

from litertlm.constants import CONFIG_FILE, GGUF_SUFFIX
from litertlm.errors import DamagedBundle, ModelNotFound
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import CATALOG
from litertlm.services.acquire.reference import (
    BundleFile,
    CatalogPackage,
    HubModel,
    LocalCheckpoint,
    OnDisk,
    Reference,
    resolve,
)
from litertlm.services.acquire.sources import local_name
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.settings import Settings
from litertlm.store import InstalledModel, ModelName, Store, check_integrity, parse_name


def find_installed(text: str, *, store: Store, settings: Settings) -> InstalledModel:
    """The model on disk that `text` names; nothing is downloaded or converted.

    Raises:
        ModelNotFound: it is not on disk.
    """
    reference = resolve(text, store=store, cwd=settings.cwd)
    name = name_in_store(reference, store)
    installed = store.find(name) if name else None
    if isinstance(reference, BundleFile):
        return bundle_outside(reference.path, store)
    if installed is None:
        raise ModelNotFound(
            f"{text} is not on disk.", hint="`litert-lm-cli list` shows the models on disk."
        )
    return installed


def remove_installed(
    text: str, *, store: Store, settings: Settings, progress: Progress
) -> tuple[ModelName, int]:
    """Remove the model on disk that `text` names; returns its name and the bytes freed.

    Raises:
        ModelNotFound: nothing of it is on disk.
    """
    name = name_in_store(resolve(text, store=store, cwd=settings.cwd), store)
    if name is None or not store.folder(name).is_dir():
        raise ModelNotFound(
            f"{text} is not on disk.", hint="`litert-lm-cli list` shows the models on disk."
        )
    return name, store.remove(name, progress)


def name_in_store(reference: Reference, store: Store) -> ModelName | None:
    """The name in the store of what `reference` means; None for a file outside of it."""
    match reference:
        case HubModel(name) | OnDisk(name):
            return name
        case CatalogPackage(entry):
            return ModelName(*entry.model.split("/"))
        case LocalCheckpoint(path):
            return local_name(path, store)
        case BundleFile():
            return None


def check_installed(installed: InstalledModel) -> None:
    """Raise DamagedBundle if the file is not the one that was recorded, with what to do next."""
    try:
        check_integrity(installed)
    except DamagedBundle as error:
        error.hint = f"Convert it again: litert-lm-cli run {installed.name} --reconvert"
        raise


def bundle_outside(path: Path, store: Store) -> InstalledModel:
    """A bundle outside of the models folder: only its cache is kept there."""
    path = path.resolve()
    model = InstalledModel(
        name=path.stem,
        bundle=path,
        folder=path.parent,
        cache_dir=store.external_cache(path),
        provenance=None,
    )
    check_integrity(model)
    return model


def name_for_defaults(text: str, *, store: Store, settings: Settings) -> str:
    """The name under which `run` looks for the defaults of the model that `text` names.

    Raises:
        ModelNotFound, UsageError, UnsupportedModel: `text` names no model.
    """
    reference = resolve(text, store=store, cwd=settings.cwd)
    if isinstance(reference, BundleFile):
        return reference.path.stem
    return str(name_in_store(reference, store))


def checkpoint_of(
    model: InstalledModel, store: Store, *, given: Path | None = None
) -> CheckpointSource | None:
    """The checkpoint that a bundle was made from, if it is on disk.

    Args:
        given: the path that the user gave.
    """
    from litertlm.checkpoint.lora_config import is_adapter

    known = model.provenance
    path = given
    if path is None:
        if known is None or known.recipe is None:
            return None
        path = _checkpoint_on_disk(known.origin, model.name, store)
    if path is None or not is_adapter(path):
        return None if path is None else CheckpointSource(path)
    base = _checkpoint_on_disk(known.base, known.base, store) if known and known.base else None
    return None if base is None else CheckpointSource(path, base)


def _checkpoint_on_disk(origin: str, name: str, store: Store) -> Path | None:
    """The checkpoint of a provenance's `origin`: a path, or that of the model `name` here."""
    from litertlm.checkpoint.lora_config import is_adapter

    if Path(origin).is_absolute():
        return Path(origin) if Path(origin).exists() else None
    package = next((e for e in CATALOG if e.package and origin.startswith(e.package.project)), None)
    folder = store.checkpoint_dir(parse_name(package.model if package else name))
    if not folder.is_dir() and origin.count("/") == 1:  # `name` is a copy
        folder = store.checkpoint_dir(parse_name(origin))
    if (folder / CONFIG_FILE).is_file() or is_adapter(folder):
        return folder
    return next(iter(sorted(folder.glob(f"*{GGUF_SUFFIX}"))), None)
