"""When models were last used, and which ones `prune` removes by age or by size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from litertlm.progress import Progress
from litertlm.store.files import size_of
from litertlm.store.names import parse_name
from litertlm.store.store import InstalledModel, Leftover, Store
from litertlm.units import format_bytes

_DAY = 86_400.0


def mark_used(cache_dir: Path) -> None:
    """Record that a model is used now: as the time of its cache folder, if there is one. (Else the
    runtime creates it now.)"""
    with contextlib.suppress(OSError):
        os.utime(cache_dir)


def last_used(model: InstalledModel) -> float:
    """When a model was last loaded, or, without a cache, made; seconds since 1970."""
    times = [0.0]
    for path in (model.cache_dir, model.bundle):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def unused_models(store: Store, older_than: float, now: float) -> list[Leftover]:
    """The models that were last used more than `older_than` seconds before `now`."""
    found = []
    for model in store.installed():
        age = now - last_used(model)
        if age > older_than:
            found.append(_removal(model, store, f"not used for {age / _DAY:.0f} days"))
    return found


def surplus_models(store: Store, keep: int, planned: Sequence[Leftover]) -> list[Leftover]:
    """The least recently used models, until at most `keep` bytes stay in the models folder.

    Args:
        planned: what is removed anyway.
    """
    models = {model.folder: model for model in store.installed()}
    gone = {item.path for item in planned}
    left = {folder: m for folder, m in models.items() if folder not in gone}
    sizes = {folder: store.sizes(m).total for folder, m in left.items()}
    for item in planned:
        for folder in item.path.parents:
            if folder in sizes and item.path.name in {"cache", "checkpoint"}:
                sizes[folder] -= item.size_bytes
    total, found = sum(sizes.values()), []
    for folder in sorted(left, key=lambda folder: last_used(left[folder])):
        if total <= keep:
            break
        found.append(_removal(left[folder], store, f"more than {format_bytes(keep)} are on disk"))
        total -= sizes[folder]
    return found


def without_contents(planned: Sequence[Leftover]) -> list[Leftover]:
    """`planned` without what is inside of a folder that is removed as well."""
    gone = {item.path for item in planned}
    return [item for item in planned if not gone.intersection(item.path.parents)]


def remove_planned(store: Store, item: Leftover, progress: Progress) -> None:
    """Remove a leftover, or a whole model."""
    if item.model is not None and is_model(store, item):
        store.remove(item.model, progress)
    else:
        store.prune(item, progress)


def is_model(store: Store, item: Leftover) -> bool:
    """Whether a whole model is to be removed."""
    return item.model is not None and item.path == store.folder(item.model)


def _removal(model: InstalledModel, store: Store, reason: str) -> Leftover:
    name = parse_name(model.name)
    return Leftover(store.folder(name), size_of(model.folder), reason, name)
