"""What `run` decides about a name on the Hub, from metadata alone, and the download after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm import __version__
from litertlm.checkpoint.files import parse_json_object, read_json_object
from litertlm.checkpoint.folder import check_not_quantized
from litertlm.checkpoint.lora_config import CONFIG_FILE, LoraConfig, is_adapter, read_lora_config
from litertlm.errors import LiteRtLmError, ModelNotFound, NetworkError, UnsupportedModel
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import suggestions
from litertlm.services.acquire.fetched import FetchedBundle, FetchedCheckpoint
from litertlm.services.acquire.hub_report import announce
from litertlm.services.acquire.reference import HubModel, not_an_adapter, nothing_to_convert
from litertlm.services.acquire.space import (
    Sizes,
    bundle_sizes,
    check_disk,
    check_memory,
    checkpoint_sizes,
    gguf_sizes,
)
from litertlm.services.convert.conversion_options import ConvertOptions
from litertlm.settings import Settings
from litertlm.store import Provenance, stage_provenance, timestamp
from litertlm.store.files import atomic_write_bytes, file_sha256, read_regular

if TYPE_CHECKING:  # 200 ms that a model on disk need not pay
    from litertlm.hub.cache import CachedHub
    from litertlm.hub.client import HubClient
    from litertlm.hub.info import RepoFile, RepoInfo

    Hub = HubClient | CachedHub

_KEPT_FILE = ".hub.json"  # in a checkpoint folder: it is whole, and this is where it came from


@dataclass(frozen=True)
class Plan:
    """What will be downloaded.

    Attributes:
        kind: `bundle`, `checkpoint`, `gguf` or `adapter`.
        files: to download.
        others: usable files that were passed over, and files for other hardware.
        sizes: what it takes on disk and in memory.
        adapter: what an adapter says of itself.
    """

    info: RepoInfo
    kind: str
    files: tuple[RepoFile, ...]
    sizes: Sizes
    others: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    adapter: LoraConfig | None = None


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
) -> FetchedBundle | FetchedCheckpoint:
    """Download what the repository has into `folder`, the model's: a ready bundle beside the
    provenance file, or a checkpoint into `folder/checkpoint`.

    A checkpoint that an earlier run left whole is used without the network.

    Args:
        base_of: fetches the base of an adapter; without it neither adapters nor bundles will do.
        adapter_wanted: nothing but an adapter will do.
        checkpoint_wanted: ready bundles are passed over.
        locked: the model's lock, if it is not held. It is not waited for before it is known what
            the repository is: two adapters that name each other would wait for ever.

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
    announce(client, plan, progress, as_base=base_of is None)
    # Before the adapter, so that nothing is downloaded in vain when the base cannot be had.
    base = base_of(plan.adapter) if base_of and plan.adapter else None
    with locked():
        kept = None if model.file else _kept_checkpoint(folder / "checkpoint", model.revision)
        if kept is not None and plan.kind != "bundle":  # done while this one waited
            return replace(kept, base=base)
        _check_room(plan, place)
        fetched = _download(client, model, plan, place, progress)
    return replace(fetched, base=base) if isinstance(fetched, FetchedCheckpoint) else fetched


def decide(
    hub: Hub,
    info: RepoInfo,
    *,
    options: ConvertOptions,
    wanted: str | None = None,
    backend: str = "cpu",
    as_base: bool = False,
    checkpoint_wanted: bool = False,
) -> Plan:
    """Which files of the repository to use and how; nothing large is downloaded.

    Args:
        wanted: a `.litertlm` or `.gguf` file that the user asked for.
        as_base: an adapter is to be merged into it, which takes a checkpoint.
        checkpoint_wanted: it is to be converted, which takes one too, or an adapter.

    Raises:
        UsageError: a checkpoint is wanted, and there are only bundles.
        UnsupportedModel: nothing here can be run or converted.
        GatedModel, AccessDenied: it may not be downloaded by this user.
    """
    from litertlm.hub import choose

    want_gguf = wanted is not None and wanted.lower().endswith(".gguf")
    bundle = None
    if not want_gguf and not as_base:
        bundle = choose.choose_bundle(info, wanted=wanted, backend=backend)
    if bundle and not (checkpoint_wanted and wanted is None):
        plan = _one_file(info, "bundle", bundle, bundle_sizes(bundle.file.size))
    elif not want_gguf and choose.is_adapter(info):
        return _adapter_plan(hub, info, as_base=as_base)
    elif not want_gguf and info.file("config.json") and _has_weights(info):
        return _checkpoint_plan(hub, info, options)
    elif gguf := choose.choose_gguf(info, wanted=wanted):
        _check_architecture(hub, info, gguf.file)
        plan = _one_file(info, "gguf", gguf, gguf_sizes(gguf.file.path, gguf.file.size, options))
    elif bundle:
        plan = _one_file(info, "bundle", bundle, bundle_sizes(bundle.file.size))
    else:
        raise _nothing_usable(info)
    if info.gated or info.private:
        hub.check_access(info.repo, info.commit, plan.files[0].path)
    if checkpoint_wanted and plan.kind == "bundle":
        raise nothing_to_convert(info.repo, f"{plan.files[0].path} is a ready bundle.")
    return plan


def _one_file(info: RepoInfo, kind: str, choice: Any, sizes: Sizes) -> Plan:
    return Plan(
        info,
        kind,
        (choice.file,),
        sizes,
        others=tuple(f.path for f in choice.others),
        elsewhere=tuple(f.path for f in choice.elsewhere),
    )


def _has_weights(info: RepoInfo) -> bool:
    """Whether there are weights in a form that a GGUF file is not better than."""
    from litertlm.hub import choose

    names = {f.path for f in info.files}
    if choose.WEIGHTS_FILE in names or choose.INDEX_FILE in names:
        return True
    return choose.choose_gguf(info) is None


def _checkpoint_plan(hub: Hub, info: RepoInfo, options: ConvertOptions) -> Plan:
    from litertlm.hub import choose

    def read(path: str) -> dict[str, Any]:
        return parse_json_object(hub.read(info.repo, info.commit, path), f"{path} of {info.repo}")

    if not (info.file(choose.WEIGHTS_FILE) or info.file(choose.INDEX_FILE)):
        raise choose.no_weights(info)
    config = read("config.json")
    _check_config(info, config)
    shards = None
    if info.file(choose.WEIGHTS_FILE) is None and info.file(choose.INDEX_FILE):
        weight_map = read(choose.INDEX_FILE).get("weight_map")
        if not isinstance(weight_map, dict):
            raise UnsupportedModel(f"{choose.INDEX_FILE} of {info.repo} has no weight_map.")
        shards = [str(name) for name in weight_map.values()]
    files = choose.checkpoint_files(info, shards)
    return Plan(info, "checkpoint", files, checkpoint_sizes(files, config, options))


def _adapter_plan(hub: Hub, info: RepoInfo, *, as_base: bool) -> Plan:
    from litertlm.hub import choose

    source = f"{CONFIG_FILE} of {info.repo}"
    values = parse_json_object(hub.read(info.repo, info.commit, CONFIG_FILE), source)
    adapter = read_lora_config(values, source)
    if as_base:
        raise _adapter_of_an_adapter(info.repo, adapter)
    files = choose.adapter_files(info)
    return Plan(info, "adapter", files, Sizes(0, 0, 0), adapter=adapter)


def _with_base(
    kept: FetchedCheckpoint, base_of: Callable[[LoraConfig], FetchedCheckpoint] | None
) -> FetchedCheckpoint:
    """A checkpoint that is on disk, with the base that it needs when it is an adapter."""
    if not is_adapter(kept.path):
        return kept
    file = kept.path / CONFIG_FILE
    adapter = read_lora_config(read_json_object(file), str(file))
    if base_of is None:
        raise _adapter_of_an_adapter(kept.origin, adapter)
    return replace(kept, base=base_of(adapter))


def _adapter_of_an_adapter(repo: str, adapter: LoraConfig) -> UnsupportedModel:
    why = "Adapters are merged into whole models."
    if adapter.base:
        why = f"It names {adapter.base} as its base. {why}"
    return UnsupportedModel(f"{repo} is an adapter itself.", why=why)


def _check_config(info: RepoInfo, config: dict[str, Any]) -> None:
    """Refuse what the config alone rules out: code, quantized weights, an unknown family, a key
    that cannot be done right."""
    from litertlm.families import MODEL_TYPES, identify

    # Of a type that is known here, as Phi 3 is, this program's own code is used in its place, as
    # transformers does it without trust_remote_code.
    if config.get("auto_map") and config.get("model_type") not in MODEL_TYPES:
        names = config["auto_map"].values() if isinstance(config["auto_map"], dict) else ()
        raise UnsupportedModel(
            f"Refused {info.repo}: its config asks for code from the repository.",
            why="config.json has auto_map"
            + "".join(f", {ascii(name)[:100]}" for name in list(names)[:1])
            + ". Code of a model is never run.",
            hint="`litert-lm-cli models` lists what can be run.",
        )
    check_not_quantized(f"config.json of {info.repo}", config)
    try:
        identify(config)
    except UnsupportedModel as error:
        error.what = f"{info.repo}: {error.what}"
        raise


def _check_architecture(hub: Hub, info: RepoInfo, file: RepoFile) -> None:
    """Refuse a GGUF file of a family that is not converted, told by the start of its header."""
    from litertlm.checkpoint.gguf_architectures import ARCHITECTURES
    from litertlm.checkpoint.gguf_header import HEAD_BYTES, read_architecture

    name = info.gguf_architecture
    if name is None:
        name = read_architecture(hub.read(info.repo, info.commit, file.path, first=HEAD_BYTES))
    if name is not None and name not in ARCHITECTURES:
        raise UnsupportedModel(
            f"{info.repo} cannot be converted: its architecture is {name!a}.",
            why=f"These can be: {', '.join(sorted(ARCHITECTURES))}.",
            hint="`litert-lm-cli models` lists what can be run.",
        )


def _nothing_usable(info: RepoInfo) -> UnsupportedModel:
    from litertlm.families import MODEL_TYPES
    from litertlm.hub import choose

    names = [f.path for f in info.files]
    why = "It has neither a .litertlm file nor config.json with safetensors nor a GGUF file."
    if elsewhere := [f.path for f in choose.bundles(info)]:
        why = "Its files are for other hardware: " + ", ".join(elsewhere) + "."
    elif any(name.endswith(".task") for name in names):
        why = "Its .task files are for MediaPipe."
    elif any(name.endswith(".gguf") for name in names):
        why = "Its GGUF files are of types that cannot be read, or in pieces."
    return UnsupportedModel(
        f"Nothing in {info.repo} can be run here.",
        why=why,
        hint="To download such a file all the same: --file NAME"
        if elsewhere
        else f"Checkpoints of these types can be converted: {', '.join(MODEL_TYPES)}.",
    )


def _plan(
    model: HubModel,
    options: ConvertOptions,
    backend: str,
    settings: Settings,
    progress: Progress,
    *,
    as_base: bool,
    checkpoint_wanted: bool,
) -> tuple[HubClient | None, Plan]:
    """The decision with what the Hub says; without a network, with huggingface_hub's cache (the
    client is None then)."""
    from litertlm.hub.cache import CachedHub
    from litertlm.hub.client import open_client

    repo = str(model.name)

    def choice(hub: Hub, info: RepoInfo) -> Plan:
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


def _check_room(plan: Plan, place: Path) -> None:
    from litertlm.hub.download import missing_bytes

    title = plan.info.repo
    check_disk(title, place, missing_bytes(plan.info, plan.files, place), plan.sizes)
    check_memory(title, plan.sizes)


def _download(
    client: HubClient | None, model: HubModel, plan: Plan, place: Path, progress: Progress
) -> FetchedBundle | FetchedCheckpoint:
    from litertlm.hub.download import download

    info, file = plan.info, plan.files[0]
    if plan.kind == "bundle":

        def provenance(whole: Path) -> Provenance:
            return Provenance(
                model=str(model.name),
                source="hub",
                origin=info.repo,
                commit=info.commit,
                revision=model.revision,
                # The Hub tells no sha256 of files that it keeps in git itself; those are small.
                sha256=file.sha256 or file_sha256(whole),
                size_bytes=whole.stat().st_size,
                created=timestamp(),
                versions={"litert-lm-cli": __version__},
            )

        record: Provenance | None = None

        def announce(part: Path) -> None:
            nonlocal record
            record = provenance(part)
            stage_provenance(place / file.name, part, record)

        (path,) = download(client, info, plan.files, place, progress, before_rename=announce)
        # A file that was whole in its place already has not appeared.
        return FetchedBundle(path, record or provenance(path))
    (place / _KEPT_FILE).unlink(missing_ok=True)
    paths = download(client, info, plan.files, place, progress)
    kept = {"repo": info.repo, "revision": info.revision, "commit": info.commit}
    sizes = {f.name: f.size for f in plan.files}
    atomic_write_bytes(place / _KEPT_FILE, json.dumps({**kept, "files": sizes}, indent=2).encode())
    path = paths[0] if plan.kind == "gguf" else place
    return FetchedCheckpoint(path, info.repo, info.commit)


def _kept_checkpoint(folder: Path, revision: str | None) -> FetchedCheckpoint | None:
    """The checkpoint that an earlier run downloaded, if it is whole and of this revision."""
    try:
        kept = json.loads(read_regular(folder / _KEPT_FILE))
        files = {folder / name: size for name, size in kept["files"].items()}
        whole = all(path.stat().st_size == size for path, size in files.items())
        known = {kept["revision"], kept["commit"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not whole or (revision is not None and revision not in known):
        return None
    ggufs = [path for path in files if path.suffix == ".gguf"]
    return FetchedCheckpoint(ggufs[0] if ggufs else folder, kept["repo"], kept["commit"])
