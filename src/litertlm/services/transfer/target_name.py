"""The name and the place that a copy gets in the models folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from litertlm.errors import NotEnoughResources, UsageError
from litertlm.services.acquire import lookup
from litertlm.store import LOCAL_ORG, InstalledModel, ModelName, Store, parse_name, provenance_path
from litertlm.store.files import remove
from litertlm.units import format_bytes


def parse_target(text: str) -> ModelName:
    """The name that a user gives a copy: `org/name`, or `name` for `local/name`.

    Raises:
        UsageError: it is no name, or a short name of the catalog, which would be found first.
    """
    if "/" in text:
        return parse_name(text)
    if lookup(text):
        raise UsageError(
            f"{text} is the short name of another model.",
            hint="Choose another name, or use org/name. `litert-lm-cli models` lists short names.",
        )
    return parse_name(f"{LOCAL_ORG}/{text}")


def check_free(name: ModelName, store: Store, *, force: bool) -> None:
    """Check that no other bundle would be replaced.

    Raises:
        UsageError: there is one, and it is not to be replaced.
    """
    if (existing := store.find(name)) is not None and not force:
        raise UsageError(
            f"{name} exists already.",
            why=f"{existing.bundle} would be replaced.",
            hint="Choose another name, or replace it with --force.",
        )


def check_space(folder: Path, nbytes: int, what: str) -> None:
    """Check that a disk has room for `what`.

    Raises:
        NotEnoughResources: with the numbers.
    """
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < nbytes:
        raise NotEnoughResources(
            f"There is not enough disk space for {what}.",
            why=f"It needs {format_bytes(nbytes)}; {format_bytes(free)} are free in {existing}.",
            hint="Free some space (litert-lm-cli prune, rm), or choose another place.",
        )


def remove_replaced(old: InstalledModel | None, bundle: Path) -> None:
    """Remove what belonged to the bundle that `bundle` replaces; the caller has the lock."""
    if old is None:
        return
    for path in old.cache_dir.glob(f"{old.bundle.name}_*"):
        remove(path)
    if old.bundle != bundle:
        remove(old.bundle)
        provenance_path(old.bundle).unlink(missing_ok=True)
