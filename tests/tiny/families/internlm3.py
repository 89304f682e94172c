"""InternLM 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    bias = config.get("qkv_bias", False)
    yield from layer_tensors(config, qkv_bias=bias, out_bias=bias, mlp_bias=bias)


FAMILY = TinyFamily(
    "internlm3",
    layer=_layer,
    # Its rotation is the default one there.
    gguf=TinyGguf("LLAMA", interleaved=True, family="llama"),
    models=(
        tiny(
            "internlm3",
            "bias-untied",
            "LlamaForCausalLM",
            gguf={},
            depends_on={"rope_theta": 9000.0},
            unsupported=[("qkv_bias", {"qkv_bias": False})],
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            bias=True,
            hidden_act="silu",
            pad_token_id=0,
            qkv_bias=True,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "internlm3",
            "dynamic-tied",
            "LlamaForCausalLM",
            gguf={"rope_scaling": None},
            depends_on={"hidden_act": "gelu"},
            **size(96, 3, 6, 3),
            bias=False,
            head_dim=16,
            hidden_act="silu",
            pad_token_id=0,
            qkv_bias=False,
            rope_scaling={"rope_type": "dynamic", "factor": 6.0},
            rope_theta=1000.0,
            tie_word_embeddings=True,
        ),
    ),
)
