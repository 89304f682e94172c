"""Download what was planned for a name on the Hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm import __version__
from litertlm.checkpoint.files import read_json_object
from litertlm.checkpoint.lora_config import LoraConfig, is_adapter, read_lora_config
from litertlm.constants import ADAPTER_CONFIG_FILE, GGUF_SUFFIX, SAFETENSORS_SUFFIX
from litertlm.errors import LiteRtLmError, ModelNotFound, NetworkError, NotEnoughResources
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import suggestions
from litertlm.services.acquire.fetched import (
    ArrivingCheckpoint,
    FetchedBundle,
    FetchedCheckpoint,
)
from litertlm.services.acquire.hub_report import report_plan
from litertlm.services.acquire.plan import DownloadPlan, adapter_of_an_adapter, decide
from litertlm.services.acquire.reference import HubModel, not_an_adapter
from litertlm.services.acquire.space import check_disk, check_memory
from litertlm.services.convert import ConvertOptions
from litertlm.settings import Settings
from litertlm.store import Provenance, stage_provenance, timestamp
from litertlm.store.files import atomic_write_bytes, file_sha256, read_regular

if TYPE_CHECKING:  # 200 ms that a model on disk need not pay
    from litertlm.hub.client import HubClient
    from litertlm.hub.info import RepoFile, RepoInfo
    from litertlm.services.acquire.heads import Hub

_KEPT_FILE = ".hub.json"  # in a checkpoint folder: the download is complete, and this is its origin


def fetch_from_hub(
    model: HubModel,
    folder: Path,
    *,
    options: ConvertOptions,
    settings: Settings,
    progress: Progress,
    backend: str = "cpu",
    base_of: Callable[[LoraConfig], FetchedCheckpoint] | None = None,
    adapter_wanted: bool = False,
    checkpoint_wanted: bool = False,
    locked: Callable[[], AbstractContextManager[None]] = nullcontext,
    convert_on_arrival: bool = False,
    keep_checkpoint: bool = True,
) -> FetchedBundle | FetchedCheckpoint:
    """Download what the repository has into `folder`, the model's: a ready bundle beside the
    provenance file, or a checkpoint into `folder/checkpoint`.

    A checkpoint that an earlier run completed is used without the network.

    Args:
        base_of: fetches the base of an adapter; without it neither adapters nor bundles will do.
        adapter_wanted: nothing but an adapter will do.
        checkpoint_wanted: ready bundles are passed over.
        locked: takes the model's lock, if the caller does not have it. Only after the kind of
            the repository is known: else two adapters that name each other would deadlock.
        convert_on_arrival: a checkpoint may be returned before it is downloaded.
        keep_checkpoint: its weights should be on disk then, if there is room for them.

    Raises:
        UsageError: there is nothing but ready bundles, and a checkpoint is wanted.
        ModelNotFound, AccessDenied, GatedModel, NetworkError, NotEnoughResources,
        UnsupportedModel.
    """
    kept = None if model.file else _kept_checkpoint(folder / "checkpoint", model.revision)
    if kept is not None:
        return _with_base(kept, base_of)
    if model.called:
        progress.status(f"{model.called} is called {model.name} on the Hub.")
    client, plan = _plan(
        model,
        options,
        backend,
        settings,
        progress,
        as_base=base_of is None,
        checkpoint_wanted=checkpoint_wanted,
    )
    if adapter_wanted and plan.adapter is None:
        raise not_an_adapter(plan.info.repo)
    place = folder if plan.kind == "bundle" else folder / "checkpoint"
    report_plan(client, plan, progress, as_base=base_of is None)
    # Before the adapter, so that nothing is downloaded in vain when the base cannot be had.
    base = base_of(plan.adapter) if base_of and plan.adapter else None
    with locked():
        kept = None if model.file else _kept_checkpoint(folder / "checkpoint", model.revision)
        if kept is not None and plan.kind != "bundle":  # done while this one waited
            return replace(kept, base=base)
        if plan.kind == "bundle":
            _check_room(plan, place)
            return _download_bundle(client, model, plan, place, progress)
        on_arrival = convert_on_arrival and client is not None and plan.adapter is None
        fetched = _fetch_checkpoint(
            client, plan, place, progress, on_arrival=on_arrival, keep=keep_checkpoint
        )
    return replace(fetched, base=base)


def _with_base(
    kept: FetchedCheckpoint, base_of: Callable[[LoraConfig], FetchedCheckpoint] | None
) -> FetchedCheckpoint:
    """A checkpoint that is on disk, with the base that it needs when it is an adapter."""
    if not is_adapter(kept.path):
        return kept
    file = kept.path / ADAPTER_CONFIG_FILE
    adapter = read_lora_config(read_json_object(file), str(file))
    if base_of is None:
        raise adapter_of_an_adapter(kept.origin, adapter)
    return replace(kept, base=base_of(adapter))


def _plan(
    model: HubModel,
    options: ConvertOptions,
    backend: str,
    settings: Settings,
    progress: Progress,
    *,
    as_base: bool,
    checkpoint_wanted: bool,
) -> tuple[HubClient | None, DownloadPlan]:
    """The plan from the Hub's metadata; without a network, from huggingface_hub's cache (the
    client is None then)."""
    from litertlm.hub.endpoint import check_endpoint

    check_endpoint(settings.environment)
    from litertlm.hub.cache import CachedHub
    from litertlm.hub.client import open_client

    repo = str(model.name)

    def choice(hub: Hub, info: RepoInfo) -> DownloadPlan:
        return decide(
            hub,
            info,
            options=options,
            wanted=model.file,
            backend=backend,
            as_base=as_base,
            checkpoint_wanted=checkpoint_wanted,
        )

    try:
        client = open_client(settings.environment, settings.cwd, progress)
        info = _look_up(client, model, progress)
    except NetworkError as error:
        cache = CachedHub()
        cached = cache.info(repo, model.revision)
        if cached is None:
            raise
        try:
            plan = choice(cache, cached)
        except LiteRtLmError:  # the cache holds only a part of the repository
            raise error from None
        progress.warn(f"{error.what} Using the files in the Hugging Face cache.")
        return None, plan
    return client, choice(client, info)


def _look_up(client: HubClient, model: HubModel, progress: Progress) -> RepoInfo:
    from litertlm.hub.info import repo_info

    repo = str(model.name)
    try:
        info = repo_info(client, repo, model.revision)
    except ModelNotFound as error:
        if near := [n for n in suggestions(repo) if n.lower() != repo.lower()]:
            error.hint = f"Did you mean {' or '.join(near)}?\n{error.hint}"
        raise
    if info.repo.lower() != repo.lower():
        progress.status(f"{repo} is now {info.repo} on the Hub.")
    return info


def _check_room(plan: DownloadPlan, place: Path, *, streamed: Sequence[RepoFile] = ()) -> None:
    from litertlm.hub.download import missing_bytes

    title = plan.info.repo
    written = [file for file in plan.files if file not in streamed]
    check_disk(title, place, missing_bytes(plan.info, written, place), plan.sizes)
    check_memory(title, plan.sizes)


def _may_stream(
    plan: DownloadPlan, place: Path, weights: Sequence[RepoFile], *, keep: bool
) -> NotEnoughResources | bool:
    """Whether the weights need not be written to the disk: wanted so, or there is no room for them.

    Returns:
        the error about the disk, if that is the reason.
    """
    from litertlm.hub.download import has_parts

    possible = bool(weights) and not has_parts(plan.info, weights, place)
    if possible and not keep:
        _check_room(plan, place, streamed=weights)
        return True
    try:
        _check_room(plan, place)
    except NotEnoughResources as error:
        if not possible:
            raise
        with suppress(NotEnoughResources):
            _check_room(plan, place, streamed=weights)
            return error
        raise
    return False


def _download_bundle(
    client: HubClient | None, model: HubModel, plan: DownloadPlan, place: Path, progress: Progress
) -> FetchedBundle:
    from litertlm.hub.download import download

    info, file = plan.info, plan.files[0]

    def provenance(complete: Path) -> Provenance:
        return Provenance(
            model=str(model.name),
            source="hub",
            origin=info.repo,
            commit=info.commit,
            revision=model.revision,
            licence=info.licence,
            gated=info.gated,
            # The Hub gives no SHA-256 of files that it keeps in git itself; those are small.
            sha256=file.sha256 or file_sha256(complete),
            size_bytes=complete.stat().st_size,
            created=timestamp(),
            versions={"litert-lm-cli": __version__},
        )

    record: Provenance | None = None

    def write_record(part: Path) -> None:
        nonlocal record
        record = provenance(part)
        stage_provenance(place / file.name, part, record)

    (path,) = download(client, info, plan.files, place, progress, before_rename=write_record)
    # No record was written for a file that was complete before.
    return FetchedBundle(path, record or provenance(path))


def _fetch_checkpoint(
    client: HubClient | None,
    plan: DownloadPlan,
    place: Path,
    progress: Progress,
    *,
    on_arrival: bool,
    keep: bool,
) -> FetchedCheckpoint:
    """The checkpoint in `place`: downloaded, or (`on_arrival`) with its download prepared.

    Args:
        keep: write the weights to the disk, if there is room for them.
    """
    from litertlm.hub.arrival import ArrivingFile
    from litertlm.hub.download import Download
    from litertlm.services.acquire.heads import check_heads, read_heads

    info = plan.info
    weights = [
        file
        for file in plan.files
        if on_arrival and file.name.endswith((SAFETENSORS_SUFFIX, GGUF_SUFFIX))
    ]
    stream = _may_stream(plan, place, weights, keep=keep)
    heads: dict[str, bytes] = {}
    if client and plan.family and plan.config:
        heads = read_heads(client, info, plan.files)
        in_order = check_heads(info, plan.config, plan.family, heads)
        if isinstance(stream, NotEnoughResources) and not in_order:
            raise stream
        stream = stream if in_order else False
    if isinstance(stream, NotEnoughResources):
        progress.status("There is no room on the disk for the checkpoint: it is not kept.")
    (place / _KEPT_FILE).unlink(missing_ok=True)

    def record() -> None:
        kept = {"repo": info.repo, "revision": info.revision, "commit": info.commit}
        sizes = {f.name: f.size for f in plan.files}
        contents = {**kept, "licence": info.licence, "gated": info.gated, "files": sizes}
        atomic_write_bytes(place / _KEPT_FILE, json.dumps(contents, indent=2).encode())

    kept = Download(client, info, plan.files, place, progress, heads=heads)

    def again() -> None:
        kept.run()
        record()

    if not on_arrival:
        again()
    arriving = Download(
        client,
        info,
        plan.files,
        place,
        progress,
        heads=heads,
        arriving={
            file.name: ArrivingFile(place / file.name, file.size, heads.get(file.path, b""))
            for file in weights
        },
        streamed=bool(stream),
    )
    return FetchedCheckpoint(
        place / plan.files[0].name if plan.kind == "gguf" else place,
        info.repo,
        info.commit,
        family=plan.family,
        licence=info.licence,
        gated=info.gated,
        arriving=ArrivingCheckpoint(arriving, again, record) if on_arrival else None,
    )


def forget_download(folder: Path) -> None:
    """Make the next `fetch_from_hub` ask the Hub for the newest commit.

    Files of the checkpoint in `folder` that did not change are used again.
    """
    (folder / _KEPT_FILE).unlink(missing_ok=True)


def _kept_checkpoint(folder: Path, revision: str | None) -> FetchedCheckpoint | None:
    """The checkpoint that an earlier run downloaded, if it is complete and of this revision."""
    try:
        kept = json.loads(read_regular(folder / _KEPT_FILE))
        files = {folder / name: size for name, size in kept["files"].items()}
        complete = all(path.stat().st_size == size for path, size in files.items())
        known = {kept["revision"], kept["commit"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not complete or (revision is not None and revision not in known):
        return None
    ggufs = [path for path in files if path.suffix == GGUF_SUFFIX]
    return FetchedCheckpoint(
        ggufs[0] if ggufs else folder,
        kept["repo"],
        kept["commit"],
        licence=kept.get("licence"),
        gated=bool(kept.get("gated")),
    )
