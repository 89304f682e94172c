"""The models that a server offers: those on disk, by the names that clients use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from litertlm.errors import DamagedBundle, ModelNotFound, UsageError
from litertlm.progress import Progress
from litertlm.services.acquire import lookup, remove_installed
from litertlm.settings import Settings
from litertlm.store import InstalledModel, Store

_TAG = ":latest"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_LONGEST_NAME = 200


@dataclass
class Catalog:
    """Names to bundles. A name from a client is never a path or an address.

    Attributes:
        store, settings: the models folder.
        given: bundles that the user named when the server was started, which may lie anywhere.
    """

    store: Store
    settings: Settings
    given: dict[str, InstalledModel] = field(default_factory=dict)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self.given, *(model.name for model in self.models())})

    def models(self) -> Sequence[InstalledModel]:
        """All models. Those whose files are damaged are left out."""
        found = []
        for name in self.store.names():
            with suppress(DamagedBundle):
                if model := self.store.find(name):
                    found.append(model)
        others = [m for m in self.given.values() if m.name not in {f.name for f in found}]
        return sorted([*found, *others], key=lambda model: model.name)

    def find(self, name: str) -> InstalledModel:
        """The model that a client calls `name`: `org/name`, `name` or an alias, in any letter case,
        with or without `:latest`.

        Raises:
            ModelNotFound: it is not on disk.
        """
        wanted = _without_tag(name)
        for known, model in self.given.items():
            if wanted.lower() in {known.lower(), model.name.lower()}:
                return model
        entry = lookup(wanted)
        matched = self.store.match(entry.model if entry else wanted)
        installed = self.store.find(matched) if matched else None
        if installed is None:
            raise ModelNotFound(f"Model not found: {name[:_LONGEST_NAME]!r}.")
        return installed

    def source(self, name: str) -> str:
        """What `acquire` calls a model that a client names by its name on the Hub or its alias.

        Raises:
            UsageError: it is not such a name.
        """
        wanted = _without_tag(name)
        entry = lookup(wanted)
        if entry is None and not _HUB_NAME.fullmatch(wanted):
            raise UsageError(
                f"Not a model name: {name[:_LONGEST_NAME]!r}.",
                hint="A model name is org/name, such as google/gemma-3-270m.",
            )
        # As an address, which no local file is mistaken for.
        return entry.alias if entry else f"https://huggingface.co/{wanted}"

    def remove(self, name: str, progress: Progress) -> None:
        """Remove a model of the models folder from disk.

        Raises:
            ModelNotFound: it is not there.
        """
        installed = self.find(name)
        if self.store.match(installed.name) is None:
            raise ModelNotFound(f"{name!r} is not in the models folder.")
        remove_installed(
            installed.name, store=self.store, settings=self.settings, progress=progress
        )


def _without_tag(name: str) -> str:
    return name.removesuffix(_TAG)
