"""Convert a checkpoint to a `.litertlm` bundle (the pipeline; the layers below do the work)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from litertlm.errors import UnsupportedModel
from litertlm.progress import Progress

DEFAULT_PREFILL_LENGTHS = (8, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class ConvertOptions:
    """What a user can choose about a conversion.

    Attributes:
        recipe: a name in quantize.RECIPES.
        kv_cache_max_len: length of the KV cache in tokens, recorded as the default context.
        shapes: `dynamic` (any prompt length, cache grows) or `static` (one signature per
            prefill length, fixed cache).
        prefill_lengths: prefill signatures of static shapes, ascending, in tokens.
    """

    recipe: str = "dynamic_int8"
    kv_cache_max_len: int = 1280
    shapes: str = "dynamic"
    prefill_lengths: tuple[int, ...] = DEFAULT_PREFILL_LENGTHS


@dataclass(frozen=True)
class Conversion:
    """What a conversion made."""

    bundle: Path


def convert(
    source: Path, target: Path, options: ConvertOptions, *, progress: Progress
) -> Conversion:
    """Placeholder until the converter lands."""
    raise UnsupportedModel(f"Cannot convert {source} yet.")
