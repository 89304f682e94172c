"""A GGUF file as a Hugging Face checkpoint: config keys, tensor names and tensor layouts.

Changes that llama.cpp's converter makes are reverted here, by rows: interleaved query and key rows
of architectures with its "normal" rotary embedding, and Gemma's norm weights, which it stores as
1 + w; and the squeezed taps of convolutions (https://github.com/ggml-org/llama.cpp/tree/master/conversion).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.gguf_architectures import ARCHITECTURES
from litertlm.checkpoint.gguf_config import (
    Architecture,
    translate_config,
    translate_generation_config,
)
from litertlm.checkpoint.gguf_file import GgufFile, GgufTensor, read_gguf
from litertlm.checkpoint.gguf_tokenizer import translate_tokenizer
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
_LAYER = re.compile(r"blk\.(\d+)\.([\w.]+)\.(weight|bias)")


def open_gguf(path: Path) -> Checkpoint:
    """Open a GGUF file; only its header and the few rotary factors are read.

    Raises:
        ModelNotFound, DamagedCheckpoint: as `read_gguf`.
        UnsupportedModel: an architecture, tensor or tokenizer that is not translated.
    """
    file = read_gguf(path)
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


@dataclass(frozen=True)
class _Translated:
    """A tensor whose rows the converter changed; see `StoredTensor`.

    Attributes:
        stored: the tensor in the file.
    """

    stored: GgufTensor
    name: str

    @property
    def dtype(self) -> str:
        return self.stored.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def nbytes(self) -> int:
        return self.stored.nbytes


@dataclass(frozen=True)
class RopeRows(_Translated):
    """Query or key rows that llama.cpp interleaved, in Hugging Face's order.

    Its row `h, 2 j + half` is Hugging Face's row `h, half * head_dim / 2 + j`.
    """

    head_dim: int

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` as float32; see `GgufTensor.rows`."""
        head, within = np.divmod(np.arange(start, stop), self.head_dim)
        half, j = np.divmod(within, self.head_dim // 2)
        source = head * self.head_dim + 2 * j + half
        if not source.size:
            return self.stored.rows(start, stop)
        first = int(source.min())
        rows: NDArray[np.float32] = self.stored.rows(first, int(source.max()) + 1)[source - first]
        return rows


@dataclass(frozen=True)
class ShiftedNorm(_Translated):
    """A norm weight stored as 1 + w, as w."""

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Elements `[start, stop)` as float32."""
        rows = self.stored.rows(start, stop)
        rows -= 1
        return rows


@dataclass(frozen=True)
class ConvolutionTaps(_Translated):
    """The taps of a depthwise convolution, stored as [channels, taps]: [channels, 1, taps]."""

    @property
    def shape(self) -> tuple[int, ...]:
        channels, taps = self.stored.shape
        return channels, 1, taps

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Channels `[start, stop)` as float32."""
        return self.stored.rows(start, stop)[:, None]


def _translate_tensors(
    file: GgufFile, architecture: Architecture, config: Mapping[str, Any]
) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for stored in file.tensors.values():
        if stored.name in _ROPE_NAMES:
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
