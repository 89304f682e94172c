"""A model on disk as data, with the field names of `--json`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from litertlm.store import InstalledModel, ModelName, Store
from litertlm.store.files import size_of
from litertlm.store.retention import last_used


def model_fields(model: InstalledModel, store: Store) -> dict[str, Any]:
    """The fields of a model on disk, the same in every command."""
    sizes = store.sizes(model)
    provenance = model.provenance
    used = datetime.fromtimestamp(last_used(model), timezone.utc)
    return {
        "model": model.name,
        "path": str(model.bundle),
        "size_bytes": sizes.bundle,
        "cache_bytes": sizes.cache,
        "checkpoint_bytes": sizes.checkpoint,
        "total_bytes": sizes.total,
        "recipe": provenance.recipe if provenance else None,
        "parameters": provenance.parameters if provenance else None,
        "options": dict(provenance.options) if provenance else {},
        "source": provenance.source if provenance else None,
        "origin": provenance.origin if provenance else None,
        "commit": provenance.commit if provenance else None,
        "base": provenance.base if provenance else None,
        "base_commit": provenance.base_commit if provenance else None,
        "sha256": provenance.sha256 if provenance else None,
        "created": provenance.created if provenance else None,
        "versions": dict(provenance.versions) if provenance else {},
        "used": used.isoformat(timespec="seconds"),
    }


def checkpoint_fields(name: ModelName, store: Store) -> dict[str, Any]:
    """The same fields for a checkpoint on disk that has no bundle; `path` is null."""
    nbytes = size_of(store.checkpoint_dir(name))
    return {
        "model": str(name),
        "path": None,
        "size_bytes": 0,
        "cache_bytes": 0,
        "checkpoint_bytes": nbytes,
        "total_bytes": nbytes,
        **dict.fromkeys(("recipe", "parameters")),
        "options": {},
        **dict.fromkeys(("source", "origin", "commit", "base", "base_commit", "sha256", "created")),
        "versions": {},
        "used": None,
    }
