"""Values of the tiny tensors and the files that hold them."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiny.model import TinyModel
from tiny.models import family_of
from tiny.shapes import tensor_shapes
from tiny.tokenizer import BOS, CHAT_TEMPLATE, EOS, IM_END, tokenizer_config, tokenizer_json


def write_checkpoint(
    model: TinyModel, folder: Path, *, chat_template: str | None = CHAT_TEMPLATE
) -> Path:
    """Write the checkpoint into `folder` (made if it is missing) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    generation = {"bos_token_id": BOS, "eos_token_id": [EOS, IM_END]}
    _write_json(folder / "config.json", model.config)
    _write_json(folder / "generation_config.json", generation)
    (folder / "tokenizer.json").write_bytes(tokenizer_json(adds_bos=model.adds_bos))
    _write_json(
        folder / "tokenizer_config.json",
        tokenizer_config(adds_bos=model.adds_bos, chat_template=chat_template),
    )
    tensors = {name: tensor_values(model, name, s) for name, s in tensor_shapes(model).items()}
    if model.shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, model.dtype)
        return folder
    names = list(tensors)
    weight_map = {}
    for shard in range(model.shards):
        file = f"model-{shard + 1:05d}-of-{model.shards:05d}.safetensors"
        part = names[shard * len(names) // model.shards : (shard + 1) * len(names) // model.shards]
        write_safetensors(folder / file, {name: tensors[name] for name in part}, model.dtype)
        weight_map |= dict.fromkeys(part, file)
    total = sum(t.size for t in tensors.values()) * (4 if model.dtype == "F32" else 2)
    _write_json(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": total}, "weight_map": weight_map},
    )
    return folder


def change_config(folder: Path, changes: Mapping[str, object]) -> None:
    """Set keys of config.json; a key inside of an object is written `outer/inner`."""
    config = json.loads((folder / "config.json").read_text())
    for path, value in changes.items():
        *outer, key = path.split("/")
        inner = config
        for level in outer:
            inner = inner[level]
        inner[key] = value
    _write_json(folder / "config.json", config)


def tensor_values(model: TinyModel, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform values whose scale keeps activations near one and attention far from uniform.

    Norm weights lie around 1, or around 0 where the family computes with `1 + weight`.
    """
    family = family_of(model)
    factors = [factor for end, factor in family.factors.items() if name.endswith(end)]
    return math.prod(factors) * _plain_values(model, name, shape)


def _plain_values(model: TinyModel, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    random = np.random.RandomState(zlib.crc32(f"{model.name}/{name}".encode()))
    values = np.asarray(2.0 * random.random_sample(shape) - 1.0)
    if name.endswith("bias"):
        return 0.2 * values
    final_norm = name.removeprefix(model.prefix) in family_of(model).final_norm
    if name.endswith("norm.weight") or "_layernorm" in name:
        center = 0.6 / model.embedding if final_norm else 1.0
        center -= family_of(model).norm_offset
        return center + 0.5 * values
    if name.endswith(("layer_scalar", "correct_output_scale")):
        return 1.0 + 0.3 * values
    if "embed_tokens" in name or name == "lm_head.weight":
        return model.embedding * values
    gain = 3.0 if "q_proj" in name or "k_proj" in name or "qkv_proj" in name else 2.0
    return gain * float(np.sqrt(1.0 / max(shape[-1] if shape else 1, 1))) * values


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[np.floating]], dtype: str) -> None:
    """Write arrays as `BF16`, `F16` or `F32` in the safetensors format.

    The format: https://huggingface.co/docs/safetensors
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    stored, offset = [], 0
    for name, values in tensors.items():
        data = _encode(values, dtype)
        end = offset + len(data)
        header[name] = {"dtype": dtype, "shape": values.shape, "data_offsets": [offset, end]}
        stored.append(data)
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(stored))


def _encode(values: NDArray[np.floating], dtype: str) -> bytes:
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    single = values.astype("<f4")
    if dtype == "F32":
        return single.tobytes()
    bits = single.view("<u4")  # round to nearest, ties to even, then keep the upper half
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
