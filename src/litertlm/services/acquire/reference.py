"""What the MODEL argument of the command line means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from litertlm.constants import ADAPTER_CONFIG_FILE, CONFIG_FILE, GGUF_SUFFIX
from litertlm.errors import ModelNotFound, UnsupportedModel, UsageError
from litertlm.services.acquire.catalog import CatalogEntry, lookup, suggestions
from litertlm.store import BUNDLE_SUFFIX, LOCAL_ORG, ModelName, Store, parse_name

_HUB_HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}


@dataclass(frozen=True)
class HubModel:
    """A repository of the Hub, at a revision; `file` when an address named one, and `called`
    when the user's name for it is not the Hub's."""

    name: ModelName
    revision: str | None = None
    file: str | None = None
    called: str | None = None


@dataclass(frozen=True)
class CatalogPackage:
    """A catalog entry that comes from the package registry."""

    entry: CatalogEntry


@dataclass(frozen=True)
class LocalCheckpoint:
    """A checkpoint folder or a `.gguf` file on this machine."""

    path: Path


@dataclass(frozen=True)
class BundleFile:
    """A `.litertlm` file on this machine."""

    path: Path


@dataclass(frozen=True)
class OnDisk:
    """A model of the models folder that has no other home (`local/...`)."""

    name: ModelName


Reference = HubModel | CatalogPackage | LocalCheckpoint | BundleFile | OnDisk


def resolve(text: str, *, store: Store, cwd: Path) -> Reference:
    """The model that `text` names.

    In this order: an address on the Hub, a path (`./x`, `/x`, `~/x`, `*.gguf`, `*.litertlm`),
    a catalog name, an existing checkpoint folder, `org/name[@revision]`, a model on disk.

    Raises:
        ModelNotFound: none of these; near names are in the hint.
        UnsupportedModel: an existing path that is none of the kinds.
        UsageError: an address or a name that cannot be right.
    """
    if not text.strip() or any(ord(c) < 32 for c in text):
        raise UsageError(f"Not a model name: {text!r}.")
    if "://" in text or text.split("/")[0].lower() in _HUB_HOSTS:
        return _from_address(text)
    path = cwd / Path(text).expanduser()
    if text.startswith((".", "/", "~")) or path.suffix in {BUNDLE_SUFFIX, GGUF_SUFFIX}:
        if not path.exists():
            raise ModelNotFound(f"No such file or folder: {text}.")
        return _from_path(path)
    name, _, revision = text.partition("@")
    if entry := lookup(name):
        if entry.package:
            return CatalogPackage(entry)
        return _in_catalog(entry, name, revision or None)
    if path.is_dir():
        return _from_path(path)
    if on_disk := store.match(text):
        return OnDisk(on_disk) if on_disk.org == LOCAL_ORG else HubModel(on_disk)
    if "/" in name and name.split("/")[0] != LOCAL_ORG:
        return HubModel(parse_name(name), revision or None)
    raise not_found(text)


def not_found(text: str) -> ModelNotFound:
    """The error for a name that nothing knows, with near names of the catalog."""
    near = suggestions(text)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return ModelNotFound(
        f"Model not found: {text}.",
        hint=f"{hint}`litert-lm-cli models` lists what can be run.",
    )


def nothing_to_convert(model: str, why: str) -> UsageError:
    """`convert` was asked to make a bundle of what is one."""
    return UsageError(
        f"There is nothing to convert in {model}.",
        why=why,
        hint=f"litert-lm-cli run {model} runs it; pull {model} only downloads it.",
    )


def not_an_adapter(model: str) -> UsageError:
    """The error for `--base` with a model that is no adapter."""
    return UsageError(
        f"{model} is not an adapter.", hint="--base is for LoRA adapters: leave it out."
    )


def _from_path(path: Path) -> Reference:
    if path.is_file():
        if path.suffix == BUNDLE_SUFFIX:
            return BundleFile(path)
        if path.suffix == GGUF_SUFFIX:
            return LocalCheckpoint(path)
        raise UnsupportedModel(
            f"Not a model: {path}.", why="It is not a .gguf or .litertlm file or a folder."
        )
    if (path / CONFIG_FILE).exists() or (path / ADAPTER_CONFIG_FILE).exists():
        return LocalCheckpoint(path)
    bundles, ggufs = sorted(path.glob(f"*{BUNDLE_SUFFIX}")), sorted(path.glob(f"*{GGUF_SUFFIX}"))
    if len(bundles) == 1:
        return BundleFile(bundles[0])
    if not bundles and len(ggufs) == 1:
        return LocalCheckpoint(ggufs[0])
    if bundles or ggufs:
        raise UsageError(
            f"Several models in {path}.",
            why=", ".join(p.name for p in bundles + ggufs),
            hint="Name the file.",
        )
    raise ModelNotFound(
        f"No model in {path}.",
        why="The folder has no config.json, adapter_config.json, .gguf or .litertlm file.",
    )


def _from_address(text: str) -> HubModel:
    address = urlsplit(text if "://" in text else f"https://{text}")
    parts = [unquote(part) for part in address.path.split("/") if part]
    if address.hostname not in _HUB_HOSTS or len(parts) < 2:
        raise UsageError(
            f"Not an address of a model: {text}.",
            hint="An address is https://huggingface.co/org/name.",
        )
    name, _, revision = parts[1].partition("@")
    text, file = f"{parts[0]}/{name}", None
    if len(parts) > 3 and parts[2] in {"tree", "blob", "resolve"}:
        revision, file = parts[3], "/".join(parts[4:]) or None
    entry = lookup(text)
    if entry and entry.package is None:
        return _in_catalog(entry, text, revision or None, file)
    return HubModel(parse_name(text), revision or None, file)


def _in_catalog(
    entry: CatalogEntry, text: str, revision: str | None, file: str | None = None
) -> HubModel:
    called = None if text.lower() == entry.model.lower() else entry.called
    return HubModel(parse_name(entry.model), revision, file, called)
