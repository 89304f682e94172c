"""Whether a model fits: bytes on disk and in memory, estimated from metadata."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.errors import NotEnoughResources
from litertlm.services.convert.conversion_options import ConvertOptions

if TYPE_CHECKING:
    from litertlm.hub.info import RepoFile

# Bits that a weight takes in a bundle, scales included (int4: blocks of 32 with a float16 each).
_RECIPE_BITS = {"dynamic_int8": 8, "int8": 8, "dynamic_int4": 4.5, "fp16": 16, "none": 32}
_PROGRAM_BYTES = 300_000_000  # Python, the runtime and activations (measured: 250 MB)
_SPARE_DISK = 64_000_000  # tokenizer, provenance, small files


@dataclass(frozen=True)
class Sizes:
    """Bytes that a model takes, apart from its download.

    Attributes:
        new_bundle: written by the conversion; 0 for a ready bundle.
        cache: that the runtime writes at the first start, about as large as the bundle.
        memory: to run it with the default context.
    """

    new_bundle: int
    cache: int
    memory: int


def bundle_sizes(nbytes: int) -> Sizes:
    """Of a ready bundle of `nbytes`."""
    return Sizes(0, nbytes, nbytes + _PROGRAM_BYTES)


def checkpoint_sizes(
    files: Iterable[RepoFile], config: Mapping[str, Any], options: ConvertOptions
) -> Sizes:
    """Of what conversion makes from safetensors `files` with this config.json."""
    stored = sum(f.size for f in files if f.name.endswith(".safetensors"))
    text = config.get("text_config")
    text = text if isinstance(text, dict) else config
    dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype"))
    parameters = stored / (4 if dtype == "float32" else 2)
    return _converted(parameters, _cache_bytes(text, options.kv_cache_max_len), options)


def gguf_sizes(name: str, nbytes: int, options: ConvertOptions) -> Sizes:
    """Of what conversion makes from a GGUF file, whose name tells its bits per weight."""
    match = re.search(r"(?:q|f)(\d+)[^.]*\.gguf$", name.lower())
    bits = int(match[1]) if match else 16
    return _converted(nbytes * 8 / (bits if bits >= 16 else bits + 0.5), 0, options)


def _converted(parameters: float, kv_cache: int, options: ConvertOptions) -> Sizes:
    bundle = round(parameters * _RECIPE_BITS.get(options.recipe, 8) / 8)
    return Sizes(bundle, bundle, bundle + kv_cache + _PROGRAM_BYTES)


def _cache_bytes(config: Mapping[str, Any], length: int) -> int:
    """Of the float32 keys and values of `length` tokens; 0 if the config does not say."""
    heads: Any = config.get("num_attention_heads")
    kv_heads = config.get("num_key_value_heads", heads)
    width, layers = config.get("hidden_size"), config.get("num_hidden_layers")
    if not all(map(_is_size, (heads, kv_heads, width, layers))):
        return 0
    head_dim = config.get("head_dim")
    head_dim = head_dim if _is_size(head_dim) else width // heads
    return int(layers * kv_heads * head_dim * length * 2 * 4)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 20


def check_disk(title: str, folder: Path, download: int, sizes: Sizes) -> None:
    """Compare what is still to be written with the free space where `folder` is.

    Raises:
        NotEnoughResources: with the numbers.
    """
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    needed = download + sizes.new_bundle + sizes.cache + _SPARE_DISK
    if needed <= free:
        return
    parts = [f"download {in_words(download)}"]
    if sizes.new_bundle:
        parts.append(f"bundle {in_words(sizes.new_bundle)}")
    parts.append(f"runtime cache {in_words(sizes.cache)}")
    raise NotEnoughResources(
        f"Not enough disk space for {title}.",
        why=f"It needs {in_words(needed)} ({', '.join(parts)}), and {in_words(free)} are free "
        f"in {place}.",
        hint="Make room (`litert-lm-cli prune` removes what is not needed), or choose another\n"
        "disk with --models-dir or LITERT_LM_MODELS.",
    )


def check_memory(title: str, sizes: Sizes) -> None:
    """Compare what running takes with what this process may have.

    Raises:
        NotEnoughResources: with the numbers.
    """
    limit = memory_limit()
    if limit is None or sizes.memory <= limit:
        return
    raise NotEnoughResources(
        f"Not enough memory to run {title}.",
        why=f"It needs about {in_words(sizes.memory)}, and there are {in_words(limit)}.",
        hint="Choose a smaller model (`litert-lm-cli models`), or a smaller form of it:\n"
        "--quantize dynamic_int4.",
    )


def check_address_space() -> None:
    """Refuse a limit (`ulimit -v`) at which numpy or another native library would end the process.

    Raises:
        NotEnoughResources: with the numbers.
    """
    limit = _address_space()
    if limit is not None and limit < _PROGRAM_BYTES:
        raise NotEnoughResources(
            "Not enough memory to convert a model.",
            why=f"It needs about {in_words(_PROGRAM_BYTES)} of address space; the limit is "
            f"{in_words(limit)}.",
            hint="Raise the limit (ulimit -v).",
        )


def memory_limit() -> int | None:
    """Bytes that this process may use at most: of the machine, its control group and its
    address-space limit (`ulimit -v`), the least. None where the system does not tell."""
    limits = [_machine_memory(), _group_memory(), _address_space()]
    return min((n for n in limits if n is not None), default=None)


def free_memory() -> int | None:
    """Bytes that a new process could have now, caches that the system would give up included;
    None where the system does not tell."""
    limit, free = memory_limit(), None
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = int(next(x for x in lines if x.startswith("MemAvailable:")).split()[1]) * 1024
    return min((n for n in (limit, free) if n is not None), default=None)


def _machine_memory() -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _group_memory() -> int | None:
    """Of a container: control groups version 2 and 1."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (Path("/sys/fs/cgroup") / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return int(text)
    return None


def _address_space() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def in_words(nbytes: int) -> str:
    """`1.5 GB`; decimal units, as the Hub shows them."""
    size = float(nbytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
