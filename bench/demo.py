"""Bundles of the demo model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gguf
from gguf.quants import dequantize, quantize

ROOT = Path(__file__).resolve().parent.parent
TYPE = gguf.GGMLQuantizationType


def convert(recipe: str, folder: Path, model: str = "demo") -> Path:
    """Convert the demo model, or another one, with a recipe in `folder`; keep a downloaded
    checkpoint there."""
    command = [
        sys.executable, "-m", "litertlm", "--models-dir", str(folder), "convert", model,
        "--quantize", recipe, "--output-dir", str(folder / recipe), "--json", "--quiet",
        "--no-check",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Path(json.loads(done.stdout)["path"])


def write_q4_0(source: Path, target: Path) -> Path:
    """A copy of a GGUF file with linear layers in Q4_0, and embeddings in Q8_0."""
    reader = gguf.GGUFReader(source)
    key = "general.architecture"
    writer = gguf.GGUFWriter(target, reader.fields[key].contents())
    for name, field in reader.fields.items():
        if name != key and not name.startswith("GGUF."):
            element = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], element)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values)
            continue
        stored = TYPE.Q4_0 if tensor.name.startswith("blk.") else TYPE.Q8_0
        writer.add_tensor(tensor.name, quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target
