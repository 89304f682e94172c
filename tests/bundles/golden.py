"""The SHA-256 of every bundle that the tiny checkpoints convert to: proof that bytes do not move.

    PYTHONPATH=src:tests python -m bundles.golden [SOURCE|DEMO.gguf]...

writes goldens.json again: all tiny models, or those that are named; and the demo model, if its GGUF
file is named (it is below `models/demo/` once it was pulled).

A refactoring leaves the file as it is. A change of what is converted rewrites it, and the commit
says why. The hashes include the version of this program, which every bundle records.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from converted import write_bundle
from litertlm.services.convert.options import ConvertOptions
from litertlm.store.files import file_sha256
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, write_adapter
from tiny.gguf_file import GGUF_CASES, write_gguf

FILE = Path(__file__).parent / "goldens.json"
RECIPES = ("dynamic_int8", "int8", "fp16", "none", "dynamic_int4")
SHAPES = ("dynamic", "static")
DEMO_CASES = (
    ("dynamic_int8", "dynamic"),
    ("dynamic_int8", "static"),
    ("int8", "static"),
    ("fp16", "static"),
    ("none", "dynamic"),
    ("dynamic_int4", "dynamic"),
)
CACHE = 96  # tokens
PREFILL = (8, 32)  # lengths of static prefill signatures

# One name for each source of a conversion.
SOURCES = (
    *MODELS,
    *(f"gguf:{name}" for name, _ in GGUF_CASES),
    *(f"lora:{name}" for name in ADAPTERS),
)


def bundle_hashes(source: str) -> dict[str, str]:
    """The hash of each recipe and kind of shapes, `recipe-shapes`, for one of `SOURCES`."""
    with tempfile.TemporaryDirectory() as folder:
        path, base = _write_source(source, Path(folder))
        return {
            f"{recipe}-{shapes}": convert_and_hash(path, recipe, shapes, base=base)
            for recipe in RECIPES
            for shapes in SHAPES
        }


def demo_hashes(checkpoint: Path, made: Mapping[str, Path] | None = None) -> dict[str, str]:
    """The hashes of the demo model, from its GGUF file, at the default lengths.

    Args:
        made: bundles that exist already, by `recipe-shapes`.
    """
    options = ConvertOptions()
    hashes = {name: file_sha256(path) for name, path in (made or {}).items()}
    for recipe, shapes in DEMO_CASES:
        if f"{recipe}-{shapes}" not in hashes:
            hashes[f"{recipe}-{shapes}"] = convert_and_hash(
                checkpoint,
                recipe,
                shapes,
                cache=options.kv_cache_max_len,
                prefill=options.prefill_lengths,
            )
    return hashes


def convert_and_hash(
    source: Path,
    recipe: str,
    shapes: str,
    *,
    base: Path | None = None,
    cache: int = CACHE,
    prefill: tuple[int, ...] = PREFILL,
) -> str:
    """The SHA-256 of the bundle of one conversion, without its checks."""
    options = ConvertOptions(
        recipe=recipe, shapes=shapes, kv_cache_max_len=cache, prefill_lengths=prefill
    )
    with tempfile.TemporaryDirectory() as folder:
        target = write_bundle(source, Path(folder) / "model.litertlm", options, base=base)
        return file_sha256(target)


def _write_source(source: str, folder: Path) -> tuple[Path, Path | None]:
    kind, _, name = source.rpartition(":")
    if kind == "gguf":
        model = replace(MODELS[name], dtype="F32")
        model = replace(model, config={**model.config, **dict(GGUF_CASES)[name]})
        return write_gguf(model, folder / "model.gguf"), None
    if kind == "lora":
        adapter = ADAPTERS[name]
        base = write_checkpoint(MODELS[adapter.base], folder / "base")
        return write_adapter(adapter, folder / "adapter", base="base"), base
    return write_checkpoint(MODELS[name], folder / "checkpoint"), None


def main(names: list[str]) -> None:
    """Write the goldens of some sources; of all tiny ones if `names` is empty."""
    hashes = json.loads(FILE.read_text())
    hashes = {name: hashes[name] for name in hashes if name in {*SOURCES, "demo"}}
    for name in names or SOURCES:
        if name.endswith(".gguf"):
            hashes["demo"] = demo_hashes(Path(name))
        else:
            hashes[name] = bundle_hashes(name)
    FILE.write_text(json.dumps(hashes, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
