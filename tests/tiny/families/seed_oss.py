"""Seed-OSS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    return layer_tensors(
        config,
        qkv_bias=config.get("attention_bias", True),
        out_bias=config.get("attention_out_bias", False),
    )


FAMILY = TinyFamily(
    "seed_oss",
    layer=_layer,
    gguf=TinyGguf("SEED_OSS"),
    models=(
        tiny(
            "seed_oss",
            "bias-untied",
            "SeedOssForCausalLM",
            gguf={"mlp_bias": False},
            depends_on={"rope_theta": 9000.0, "rms_norm_eps": 0.1},
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            hidden_act="silu",
            mlp_bias=True,
            rope_theta=10000.0,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "seed_oss",
            "out-bias-tied",
            "SeedOssForCausalLM",
            depends_on={"rope_scaling/factor": 4.0},
            **size(96, 3, 6, 1),
            head_dim=16,
            hidden_act="silu",
            attention_bias=False,
            attention_out_bias=True,
            rope_theta=10000000.0,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
