"""A GGUF file as a Hugging Face checkpoint: config keys, tensor names and tensor layouts.

Changes that llama.cpp's converter makes are reverted here
(https://github.com/ggml-org/llama.cpp/tree/master/conversion): interleaved query and key rows of
architectures with its "normal" rotary embedding, Gemma's norm weights, which it stores as 1 + w,
squeezed taps of convolutions, projections in one tensor, and tensors that became keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from litertlm.checkpoint.files import WeightFile
from litertlm.checkpoint.gguf_architectures import ARCHITECTURES
from litertlm.checkpoint.gguf_config import (
    Architecture,
    ArchitectureKeys,
    translate_config,
    translate_generation_config,
)
from litertlm.checkpoint.gguf_file import GgufFile, GgufTensor, read_gguf
from litertlm.checkpoint.gguf_tokenizer import translate_tokenizer
from litertlm.checkpoint.gguf_views import (
    ConvolutionTaps,
    OneValue,
    RopeRows,
    RowRange,
    ShiftedNorm,
)
from litertlm.checkpoint.types import Checkpoint, StoredTensor
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

_GLOBAL_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Tensors that hold parameters of the rotary embedding; the config translation reads them.
_ROPE_NAMES = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
_FUSED = re.compile(r"blk\.(\d+)\.attn_qkv\.(weight|bias)")
_LAYER = re.compile(r"blk\.(\d+)\.([\w.]+)\.(weight|bias)")


def open_gguf(path: Path, arriving: WeightFile | None = None) -> Checkpoint:
    """Open a GGUF file; only its header and the few rotary factors are read.

    Args:
        arriving: the file, if it is not at `path` yet.

    Raises:
        ModelNotFound, DamagedCheckpoint: as `read_gguf`.
        UnsupportedModel: an architecture, tensor or tokenizer that is not translated.
    """
    file = read_gguf(path, arriving)
    name = file.values.get("general.architecture")
    architecture = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if architecture is None:
        raise UnsupportedModel(
            f"GGUF architecture {name!r} is not supported.",
            why=f"{path} says general.architecture = {name!r}.",
            hint="Supported: " + ", ".join(sorted(ARCHITECTURES)) + ".",
        )
    config = translate_config(file, architecture)
    return Checkpoint(
        path=path,
        format="gguf",
        config=config,
        generation_config=translate_generation_config(file),
        tensors=_translate_tensors(file, architecture, config),
        tokenizer=translate_tokenizer(file),
        metadata={k: v for k, v in file.values.items() if k.startswith("general.")},
    )


def _translate_tensors(
    file: GgufFile, architecture: Architecture, config: Mapping[str, Any]
) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {t.name: t for t in _values(file, architecture, config)}
    for stored in file.tensors.values():
        if stored.name in _ROPE_NAMES:
            continue
        if architecture.fused_qkv and (fused := _FUSED.fullmatch(stored.name)) is not None:
            tensors |= _separate(file, stored, f"model.layers.{int(fused[1])}", fused[2], config)
            continue
        if (stack := architecture.stacked.get(stored.name.removesuffix(".weight"))) is not None:
            tensors |= _unstacked(file, stored, stack)
            continue
        name = _translate_name(file, architecture, stored.name)
        if architecture.interleaved_rope and re.search(r"\.[qk]_proj\.\w+$", name):
            head_dim = config["head_dim"]
            if head_dim % 2 or stored.shape[0] % head_dim:
                raise DamagedCheckpoint(
                    f"Tensor {stored.name} of {file.path} has {stored.shape[0]} rows.",
                    why=f"They are not a multiple of a head of {head_dim}.",
                )
            tensors[name] = RopeRows(stored, name, head_dim)
        elif architecture.shifted_norms and name.endswith("norm.weight"):
            tensors[name] = ShiftedNorm(stored, name)
        elif name.endswith("conv.conv.weight") and len(stored.shape) == 2:
            tensors[name] = ConvolutionTaps(stored, name)
        else:
            tensors[name] = replace(stored, name=name)
    return tensors


def _values(
    file: GgufFile, architecture: Architecture, config: Mapping[str, Any]
) -> Iterator[OneValue]:
    """The tensors of one value that the converter wrote as keys, a value for each layer."""
    layers = config["num_hidden_layers"]
    for key, (name, shape) in architecture.values.items():
        prefix, _, last = key.partition(".")
        values = ArchitectureKeys(file, prefix).numbers(last, layers)
        for layer, value in enumerate(values):
            yield OneValue(f"model.layers.{layer}.{name}", shape, value)


def _separate(
    file: GgufFile, stored: GgufTensor, layer: str, kind: str, config: Mapping[str, Any]
) -> dict[str, StoredTensor]:
    """Queries, keys and values of one tensor that has their rows in this order."""
    head_dim = config["head_dim"]
    tensors: dict[str, StoredTensor] = {}
    start = 0
    for name, heads in (("q", "attention"), ("k", "key_value"), ("v", "key_value")):
        rows = config[f"num_{heads}_heads"] * head_dim
        full = f"{layer}.self_attn.{name}_proj.{kind}"
        tensors[full] = RowRange(stored, full, start, rows)
        start += rows
    if start != stored.shape[0]:
        raise DamagedCheckpoint(
            f"Tensor {stored.name} of {file.path} has {stored.shape[0]} rows.",
            why=f"Its queries, keys and values should have {start}.",
        )
    return tensors


def _unstacked(file: GgufFile, stored: GgufTensor, name: str) -> dict[str, StoredTensor]:
    """The matrices of a tensor [n, out, in], under their own names."""
    if len(stored.shape) != 3 or 0 in stored.shape:
        raise DamagedCheckpoint(
            f"Tensor {stored.name} of {file.path} has the shape {list(stored.shape)}.",
            why="It must hold several matrices.",
        )
    names = [f"{name}.{i}.weight" for i in range(stored.shape[0])]
    entries = zip(names, stored.entries(), strict=True)
    return {name: replace(entry, name=name) for name, entry in entries}


def _translate_name(file: GgufFile, architecture: Architecture, name: str) -> str:
    base, _, kind = name.rpartition(".")
    global_names = {**_GLOBAL_NAMES, **architecture.global_names}
    if base in global_names and kind in ("weight", "bias"):
        return f"{global_names[base]}.{kind}"
    match = _LAYER.fullmatch(name)
    names = {**_LAYER_NAMES, **architecture.layer_names}
    if match is not None and (bare := names.get(f"{match[2]}.{match[3]}")) is not None:
        return f"model.layers.{int(match[1])}.{bare}"
    if match is None or match[2] not in names:
        raise UnsupportedModel(
            f"Tensor {name} of {file.path} is unknown.",
            why=f"The architecture {architecture.name} has no such tensor here.",
            hint="Use the safetensors checkpoint of the same model, if it has one.",
        )
    return f"model.layers.{int(match[1])}.{names[match[2]]}.{match[3]}"
