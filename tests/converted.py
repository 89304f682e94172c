"""Bundles for tests that are about their contents: written without the checks of `convert`."""

from __future__ import annotations

from pathlib import Path

from litertlm.services.convert.conversion import write_plan
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from litertlm.store.files import hash_in_background
from recorder import Recorder


def write_bundle(
    source: Path, target: Path, options: ConvertOptions, *, base: Path | None = None
) -> Path:
    """Convert a checkpoint folder, a `.gguf` file, or an adapter of `base`; return `target`."""
    target.touch()
    with hash_in_background(target) as file:
        write_plan(plan_conversion(source, options, base=base), target, file, Recorder())
    return target
