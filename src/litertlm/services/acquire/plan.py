"""What `run` decides about a name on the Hub, from metadata alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litertlm.checkpoint.files import parse_json_object
from litertlm.checkpoint.lora_config import LoraConfig, read_lora_config
from litertlm.checkpoint.quantized import check_quantization
from litertlm.constants import (
    ADAPTER_CONFIG_FILE,
    CONFIG_FILE,
    GGUF_SUFFIX,
    WEIGHTS_FILE,
    WEIGHTS_INDEX_FILE,
)
from litertlm.errors import UnsupportedModel
from litertlm.services.acquire.reference import nothing_to_convert
from litertlm.services.acquire.space import (
    SizeEstimate,
    bundle_sizes,
    checkpoint_sizes,
    gguf_sizes,
)
from litertlm.services.convert import ConvertOptions

if TYPE_CHECKING:  # 200 ms that a model on disk need not pay
    from litertlm.families import Family
    from litertlm.hub.info import RepoFile, RepoInfo
    from litertlm.services.acquire.heads import Hub


@dataclass(frozen=True)
class DownloadPlan:
    """What will be downloaded.

    Attributes:
        kind: `bundle`, `checkpoint`, `gguf` or `adapter`.
        files: to download.
        others: usable files that were passed over, and files for other hardware.
        sizes: what it takes on disk and in memory.
        adapter: the configuration of an adapter.
        family, config: of a checkpoint with a config.json.
    """

    info: RepoInfo
    kind: str
    files: tuple[RepoFile, ...]
    sizes: SizeEstimate
    others: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    adapter: LoraConfig | None = None
    family: Family | None = None
    config: dict[str, Any] | None = None


def decide(
    hub: Hub,
    info: RepoInfo,
    *,
    options: ConvertOptions,
    wanted: str | None = None,
    backend: str = "cpu",
    as_base: bool = False,
    checkpoint_wanted: bool = False,
) -> DownloadPlan:
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

    want_gguf = wanted is not None and wanted.lower().endswith(GGUF_SUFFIX)
    bundle = None
    if not want_gguf and not as_base:
        bundle = choose.choose_bundle(info, wanted=wanted, backend=backend)
    if bundle and not (checkpoint_wanted and wanted is None):
        plan = _one_file(info, "bundle", bundle, bundle_sizes(bundle.file.size))
    elif not want_gguf and choose.is_adapter(info):
        return _adapter_plan(hub, info, as_base=as_base)
    elif not want_gguf and info.file(CONFIG_FILE) and _has_weights(info):
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


def adapter_of_an_adapter(repo: str, adapter: LoraConfig) -> UnsupportedModel:
    why = "Adapters are merged into complete models."
    if adapter.base:
        why = f"It names {adapter.base} as its base. {why}"
    return UnsupportedModel(f"{repo} is an adapter itself.", why=why)


def _one_file(info: RepoInfo, kind: str, choice: Any, sizes: SizeEstimate) -> DownloadPlan:
    return DownloadPlan(
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
    if WEIGHTS_FILE in names or WEIGHTS_INDEX_FILE in names:
        return True
    return choose.choose_gguf(info) is None


def _checkpoint_plan(hub: Hub, info: RepoInfo, options: ConvertOptions) -> DownloadPlan:
    from litertlm.hub import choose

    def read(path: str) -> dict[str, Any]:
        return parse_json_object(hub.read(info.repo, info.commit, path), f"{path} of {info.repo}")

    config = read(CONFIG_FILE)
    family = _identified(info, config)
    if not (info.file(WEIGHTS_FILE) or info.file(WEIGHTS_INDEX_FILE)):
        raise choose.no_weights(info)
    shards = None
    if info.file(WEIGHTS_FILE) is None and info.file(WEIGHTS_INDEX_FILE):
        weight_map = read(WEIGHTS_INDEX_FILE).get("weight_map")
        if not isinstance(weight_map, dict):
            raise UnsupportedModel(f"{WEIGHTS_INDEX_FILE} of {info.repo} has no weight_map.")
        shards = [str(name) for name in weight_map.values()]
    files = choose.checkpoint_files(info, shards)
    sizes = checkpoint_sizes(files, config, family, options)
    return DownloadPlan(info, "checkpoint", files, sizes, family=family, config=config)


def _adapter_plan(hub: Hub, info: RepoInfo, *, as_base: bool) -> DownloadPlan:
    from litertlm.hub import choose

    source = f"{ADAPTER_CONFIG_FILE} of {info.repo}"
    values = parse_json_object(hub.read(info.repo, info.commit, ADAPTER_CONFIG_FILE), source)
    adapter = read_lora_config(values, source)
    if as_base:
        raise adapter_of_an_adapter(info.repo, adapter)
    files = choose.adapter_files(info)
    return DownloadPlan(info, "adapter", files, SizeEstimate(0, 0, 0), adapter=adapter)


def _identified(info: RepoInfo, config: dict[str, Any]) -> Family:
    """The family that the config names.

    Raises:
        UnsupportedModel: the config asks for code of the repository, or names a form of quantized
            weights that is not read, an unknown `model_type`, or a key that is not supported.
    """
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
    check_quantization(f"config.json of {info.repo}", config)
    try:
        return identify(config)
    except UnsupportedModel as error:
        error.what = f"{info.repo}: {error.what}"
        raise


def _check_architecture(hub: Hub, info: RepoInfo, file: RepoFile) -> None:
    """Refuse a GGUF file of an unsupported family, from the beginning of its header."""
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
    elif any(name.endswith(GGUF_SUFFIX) for name in names):
        why = "Its GGUF files are of types that cannot be read, or in pieces."
    return UnsupportedModel(
        f"Nothing in {info.repo} can be run here.",
        why=why,
        hint="To download such a file all the same: --file NAME"
        if elsewhere
        else f"Checkpoints of these types can be converted: {', '.join(MODEL_TYPES)}.",
    )
