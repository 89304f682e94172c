"""Whether a model fits: bytes on disk and in memory, estimated from metadata."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.checkpoint.quantized import stored_bits
from litertlm.constants import SAFETENSORS_SUFFIX
from litertlm.errors import NotEnoughResources
from litertlm.memory import memory_limit, memory_to_run
from litertlm.services.convert import ConvertOptions
from litertlm.units import format_bytes

if TYPE_CHECKING:
    from litertlm.families import Family
    from litertlm.hub.info import RepoFile

# Bits that a weight takes in a bundle, scales included (int4: blocks of 32 with a float16 each).
_RECIPE_BITS = {"dynamic_int8": 8, "int8": 8, "dynamic_int4": 4.5, "fp16": 16, "none": 32}
_SPARE_DISK = 64_000_000  # tokenizer, provenance, small files


@dataclass(frozen=True)
class SizeEstimate:
    """Bytes that a model takes, apart from its download.

    Attributes:
        new_bundle: written by the conversion; 0 for a ready bundle.
        cache: that the runtime writes at the first start, about as large as the bundle.
        memory: to run it with the default context.
    """

    new_bundle: int
    cache: int
    memory: int


def bundle_sizes(nbytes: int) -> SizeEstimate:
    """Of a ready bundle of `nbytes`."""
    return SizeEstimate(0, nbytes, memory_to_run(nbytes))


def checkpoint_sizes(
    files: Iterable[RepoFile],
    config: Mapping[str, Any],
    family: Family,
    options: ConvertOptions,
) -> SizeEstimate:
    """Of what conversion makes from safetensors `files` with this config.json."""
    stored = sum(f.size for f in files if f.name.endswith(SAFETENSORS_SUFFIX))
    text = config.get("text_config")
    text = text if isinstance(text, dict) else config
    dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype"))
    width = 4 if dtype == "float32" else 2
    parameters = stored / width
    bits = stored_bits(config)
    if bits is not None:
        # Of quantized checkpoints, the embeddings and the head are floats.
        tables = 1 if text.get("tie_word_embeddings") else 2
        floats = min(parameters, tables * family.config.vocab_size * _size(text, "hidden_size"))
        parameters = floats + (stored - floats * width) * 8 / bits
    context = min(options.kv_cache_max_len, family.max_context)
    return _converted(parameters, family.state_bytes(context), options)


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    return value if type(value) is int else 0


def gguf_sizes(name: str, nbytes: int, options: ConvertOptions) -> SizeEstimate:
    """Of what conversion makes from a GGUF file, whose name gives its bits per weight."""
    match = re.search(r"(?:q|f)(\d+)[^.]*\.gguf$", name.lower())
    bits = int(match[1]) if match else 16
    return _converted(nbytes * 8 / (bits if bits >= 16 else bits + 0.5), 0, options)


def _converted(parameters: float, state_bytes: int, options: ConvertOptions) -> SizeEstimate:
    bundle = round(parameters * _RECIPE_BITS.get(options.recipe, 8) / 8)
    return SizeEstimate(bundle, bundle, memory_to_run(bundle, state_bytes))


def check_disk(title: str, folder: Path, download: int, sizes: SizeEstimate) -> None:
    """Compare what is still to be written with the free space where `folder` is.

    Raises:
        NotEnoughResources: with the numbers.
    """
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    needed = download + sizes.new_bundle + sizes.cache + _SPARE_DISK
    if needed <= free:
        return
    parts = [f"download {format_bytes(download)}"]
    if sizes.new_bundle:
        parts.append(f"bundle {format_bytes(sizes.new_bundle)}")
    parts.append(f"runtime cache {format_bytes(sizes.cache)}")
    raise NotEnoughResources(
        f"Not enough disk space for {title}.",
        why=f"It needs {format_bytes(needed)} ({', '.join(parts)}), and "
        f"{format_bytes(free)} are free in {place}.",
        hint="Make room (`litert-lm-cli prune` removes what is not needed), or choose another\n"
        "disk with --models-dir or LITERT_LM_MODELS.",
    )


def check_memory(title: str, sizes: SizeEstimate) -> None:
    """Compare what running takes with what this process may have.

    Raises:
        NotEnoughResources: with the numbers.
    """
    limit = memory_limit()
    if limit is None or sizes.memory <= limit:
        return
    raise NotEnoughResources(
        f"Not enough memory to run {title}.",
        why=f"It needs about {format_bytes(sizes.memory)}, and there are {format_bytes(limit)}.",
        hint="Choose a smaller model (`litert-lm-cli models`), or a smaller form of it:\n"
        "--quantize dynamic_int4.",
    )
