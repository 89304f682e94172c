"""ERNIE 4.5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    bias = config.get("use_bias", False)
    return layer_tensors(config, qkv_bias=bias, out_bias=bias, mlp_bias=bias)


FAMILY = TinyFamily(
    "ernie4_5",
    layer=_layer,
    tied=True,
    gguf=TinyGguf("ERNIE4_5"),
    models=(
        tiny(
            "ernie4_5",
            "bias-untied",
            "Ernie4_5ForCausalLM",
            gguf={"use_bias": False},
            depends_on={"rope_theta": 9000.0},
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            hidden_act="silu",
            use_bias=True,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "ernie4_5",
            "linear-tied",
            "Ernie4_5ForCausalLM",
            depends_on={"rope_scaling/factor": 4.0},
            **size(96, 3, 6, 1),
            head_dim=16,
            hidden_act="silu",
            rope_scaling={"rope_type": "linear", "factor": 2.0},
        ),
    ),
)
