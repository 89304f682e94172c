"""GLM-4 9B and GLM-Edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    return layer_tensors(
        config,
        qkv_bias=config.get("attention_bias", True),
        out_bias=False,
        mlp_modules=("gate_up_proj", "down_proj"),
        norms=("input", "post_attention"),
    )


def _rotated(config: Mapping[str, Any]) -> Mapping[str, Any]:
    rotated = int(config["head_dim"] * config["partial_rotary_factor"])
    sizes = dict.fromkeys(("add_key_length", "add_value_length"))
    return {**sizes, "add_rope_dimension_count": rotated}


FAMILY = TinyFamily(
    "glm",
    layer=_layer,
    gguf=TinyGguf("CHATGLM", replaced=_rotated),
    models=(
        tiny(
            "glm",
            "bias-untied",
            "GlmForCausalLM",
            gguf={"head_dim": 16, "partial_rotary_factor": 0.5},
            depends_on={"rope_theta": 9000.0, "partial_rotary_factor": 0.25},
            unsupported=[("partial_rotary_factor", {"partial_rotary_factor": 1.5})],
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            hidden_act="silu",
            rope_theta=10000.0,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "glm",
            "complete-linear-tied",
            "GlmForCausalLM",
            depends_on={"rope_scaling/factor": 4.0},
            **size(96, 3, 6, 1),
            head_dim=16,
            hidden_act="silu",
            attention_bias=False,
            partial_rotary_factor=1.0,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
