"""From what a user calls a model to a bundle on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm.constants import GGUF_SUFFIX
from litertlm.errors import (
    ConversionFailed,
    DamagedCheckpoint,
    QualityCheckFailed,
    UsageError,
)
from litertlm.memory import check_address_space
from litertlm.progress import Progress
from litertlm.services.acquire.fetched import FetchedBundle, FetchedCheckpoint
from litertlm.services.acquire.installed import bundle_outside, check_installed
from litertlm.services.acquire.reference import (
    BundleFile,
    HubModel,
    LocalCheckpoint,
    OnDisk,
    not_an_adapter,
    not_found,
    nothing_to_convert,
    resolve,
)
from litertlm.services.acquire.sources import AcquireRequest, Source, source_of
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert import ConvertOptions, with_static_shapes
from litertlm.settings import Settings
from litertlm.store import (
    BUNDLE_SUFFIX,
    InstalledModel,
    Provenance,
    SharedProgress,
    Store,
    stage_provenance,
    timestamp,
    write_provenance,
)
from litertlm.store.files import remove
from litertlm.units import format_parameters, parameters_in_name

if TYPE_CHECKING:
    from litertlm.services.convert import Conversion


def acquire(
    request: AcquireRequest,
    *,
    store: Store,
    settings: Settings,
    progress: Progress,
    converted: Callable[[Conversion], None] = lambda made: None,
) -> InstalledModel:
    """The bundle that `request` names; downloaded and converted when it is not on disk.

    Args:
        converted: called with a conversion that was made by this call.

    Raises:
        LiteRtLmError: as the layers below raise it (errors.py lists the kinds).
    """
    progress = SharedProgress(progress)  # for other processes that want the same model
    reference = resolve(request.model, store=store, cwd=settings.cwd)
    if isinstance(reference, HubModel):
        reference = _with_choices(reference, request)
    elif request.revision or request.file:
        raise UsageError("--revision and --file are for models on the Hub.")
    if request.base and not isinstance(reference, HubModel | LocalCheckpoint):
        raise not_an_adapter(request.model)
    if isinstance(reference, BundleFile):
        if request.checkpoint_wanted:
            raise nothing_to_convert(request.model, f"{reference.path.name} is a bundle already.")
        return bundle_outside(reference.path, store)
    if isinstance(reference, OnDisk):
        if installed := store.find(reference.name):
            return _existing(installed, request.options, settings, progress)
        raise not_found(request.model)
    source = source_of(reference, request, store, settings, progress)
    if installed := _usable(source, request, store):
        return _existing(installed, request.options, settings, progress)
    with store.lock(source.name, progress):
        # Another process may have made it while this one waited for the lock.
        if installed := _usable(source, request, store):
            return _existing(installed, request.options, settings, progress)
        return _install(source, request, store, settings, progress, converted)


def _with_choices(model: HubModel, request: AcquireRequest) -> HubModel:
    """`model` with the options of the request.

    Raises:
        UsageError: the file is not of a kind that can be run or converted.
    """
    file = request.file or model.file
    if file is not None and not file.lower().endswith((BUNDLE_SUFFIX, GGUF_SUFFIX)):
        raise UsageError(f"Not a .litertlm or .gguf file: {file!r}.")
    return replace(model, revision=request.revision or model.revision, file=file)


def _usable(source: Source, request: AcquireRequest, store: Store) -> InstalledModel | None:
    if request.reconvert:
        return None
    installed = store.find(source.name, file=source.file)
    if installed is None:
        return None
    known = installed.provenance
    if source.fingerprint and known and source.fingerprint != (known.fingerprint or ""):
        return None
    if source.base and not (known and source.base == known.base):
        return None
    if source.revision and not (known and source.revision in (known.revision, known.commit)):
        return None
    return installed


def _existing(
    installed: InstalledModel, options: ConvertOptions, settings: Settings, progress: Progress
) -> InstalledModel:
    check_installed(installed)
    progress.status(f"✓ Model already exists at {settings.shown(installed.bundle)}")
    provenance = installed.provenance
    asked = options != ConvertOptions() and (options.recipe, _other_options(options))
    if provenance and provenance.recipe and asked:
        made = (provenance.recipe, provenance.options)
        if made != asked:
            progress.warn(
                f"It was converted with other options ({provenance.recipe}); "
                f"to convert it again: litert-lm-cli convert {installed.name} --force"
            )
    return installed


def _install(
    source: Source,
    request: AcquireRequest,
    store: Store,
    settings: Settings,
    progress: Progress,
    converted: Callable[[Conversion], None],
) -> InstalledModel:
    """Fetch, convert and record; the caller has the model's lock."""
    _set_up_process()  # before numpy is first imported, which is below
    fetched = source.fetch()
    fetched_base = fetched.base if isinstance(fetched, FetchedCheckpoint) else None
    if isinstance(fetched, FetchedBundle):
        progress.status("✓ Model downloaded successfully")
        bundle, provenance = fetched.path, fetched.provenance
    else:
        bundle = store.bundle_path(source.name)
        options = request.options
        if request.backend == "gpu" and options.shapes == "dynamic":
            options = with_static_shapes(options)  # a GPU runs no others
        provenance, made = _convert(source, fetched, bundle, options, settings, progress)
        converted(made)
    write_provenance(bundle, provenance)
    streamed = (
        isinstance(fetched, FetchedCheckpoint) and fetched.arriving and fetched.arriving.streamed
    )
    if (not request.keep_checkpoint and source.kind != "local") or streamed:
        remove(store.checkpoint_dir(source.name))
    if not request.keep_checkpoint and fetched_base and fetched_base.transient:
        remove(fetched_base.path if fetched_base.path.is_dir() else fetched_base.path.parent)
    installed = store.find(source.name, file=bundle.name)
    assert installed is not None, "the bundle has just been made"
    return installed


def _convert(
    source: Source,
    fetched: FetchedCheckpoint,
    bundle: Path,
    options: ConvertOptions,
    settings: Settings,
    progress: Progress,
) -> tuple[Provenance, Conversion]:
    check_address_space()
    if fetched.arriving is None:
        return _convert_files(source, fetched, bundle, options, settings, progress)
    from litertlm.hub.part import Restarted

    with fetched.arriving.download.running():
        try:
            return _convert_files(source, fetched, bundle, options, settings, progress)
        except (Restarted, ConversionFailed, DamagedCheckpoint, QualityCheckFailed) as error:
            # A file had a wrong hash, or will prove to have one; or it is not to be read in order.
            progress.detail(f"Converting again, from verified files: {error!r}")
            if not fetched.arriving.streamed:
                fetched.arriving.download.wait()
    fetched.arriving.again()
    complete = replace(fetched, arriving=None)
    return _convert_files(source, complete, bundle, options, settings, progress)


def _convert_files(
    source: Source,
    fetched: FetchedCheckpoint,
    bundle: Path,
    options: ConvertOptions,
    settings: Settings,
    progress: Progress,
) -> tuple[Provenance, Conversion]:
    from litertlm.services.convert import convert_source, count_parameters

    base, arriving = fetched.base, fetched.arriving
    if arriving:
        arriving.download.wait(for_arriving=False)
    # Merging an adapter may change the config, and with it what the family is given.
    known = fetched.family if base is None else None
    checkpoint = CheckpointSource(
        fetched.path,
        base.path if base else None,
        known,
        arriving.download if arriving else None,
    )
    if source.kind == "local":
        progress.status(f"Model not found locally. Converting from {source.title}...")
    parameters = parameters_in_name(source.name.name) or format_parameters(
        count_parameters(checkpoint.checkpoint)
    )
    merged = f" with its base {base.origin}" if base else ""
    progress.status(f"Converting {source.title}{merged}...")
    progress.status(f"Model size: {parameters}")
    progress.status(f"Quantization: {options.recipe}")

    record: Provenance | None = None

    def write_record(made: Conversion, temporary: Path) -> None:
        nonlocal record
        if arriving:
            arriving.finish()
        record = Provenance(
            model=str(source.name),
            source=source.kind,
            origin=fetched.origin,
            commit=fetched.commit,
            revision=source.revision,
            recipe=options.recipe,
            options=_other_options(options),
            parameters=parameters,
            base=base.origin if base else None,
            base_commit=base.commit if base else None,
            licence=fetched.licence,
            base_licence=base.licence if base else None,
            gated=fetched.gated or bool(base and base.gated),
            fingerprint=source.fingerprint,
            sha256=made.sha256,
            size_bytes=made.nbytes,
            created=timestamp(),
            versions=made.versions,
        )
        stage_provenance(bundle, temporary, record)

    made = convert_source(
        checkpoint, bundle, options, progress=progress, before_rename=write_record
    )
    assert record is not None, "the record is written before the bundle is renamed"
    for old in (bundle.parent / "cache").glob(f"{bundle.name}_*"):
        remove(old)  # of the bundle before, whose time and size are in the name
    progress.status("✓ Model successfully converted!")
    progress.status(f"{settings.shown(bundle)} ({made.nbytes / 1e6:.1f} MB, {made.seconds:.1f} s)")
    return record, made


def _other_options(options: ConvertOptions) -> dict[str, object]:
    """The options besides the recipe, as JSON gives them back."""
    static = options.shapes == "static"
    return {
        "kv_cache_max_len": options.kv_cache_max_len,
        "shapes": options.shapes,
        "prefill_seq_len": list(options.prefill_lengths) if static else None,
    }


def _set_up_process() -> None:
    """What makes the arithmetic of a conversion fast."""
    # The threads that convert each multiply for themselves; those that OpenBLAS would add wait for
    # work by spinning.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from litertlm.allocator import keep_freed_memory  # imports ctypes

    keep_freed_memory()
