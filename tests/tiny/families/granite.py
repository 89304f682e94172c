"""Granite."""

from __future__ import annotations

from tiny.model import TinyFamily, TinyGguf, size, tiny

FAMILY = TinyFamily(
    "granite",
    gguf=TinyGguf(
        "GRANITE",
        interleaved=True,
        keys={
            "attention_multiplier": "add_attention_scale",
            "embedding_multiplier": "add_embedding_scale",
            "residual_multiplier": "add_residual_scale",
            "logits_scaling": "add_logit_scale",
        },
    ),
    models=(
        tiny(
            "granite",
            "multipliers-tied",
            "GraniteForCausalLM",
            gguf={},
            depends_on={
                "embedding_multiplier": 3.1,
                "attention_multiplier": 0.13,
                "residual_multiplier": 0.91,
                "logits_scaling": 0.76,
            },
            unsupported=[("logits_scaling", {"logits_scaling": 0})],
            embedding=0.2,
            **size(64, 2, 4, 2),
            hidden_act="silu",
            rope_theta=10000.0,
            embedding_multiplier=3.0,
            attention_multiplier=0.125,
            residual_multiplier=0.9,
            logits_scaling=0.75,
            tie_word_embeddings=True,
        ),
        tiny(
            "granite",
            "bias-untied",
            "GraniteForCausalLM",
            dtype="F16",
            **size(64, 3, 4, 1),
            hidden_act="silu",
            attention_bias=True,
            mlp_bias=True,
            rope_theta=10000.0,
            embedding_multiplier=1.5,
            attention_multiplier=0.5,
            residual_multiplier=0.75,
            logits_scaling=1.5,
            tie_word_embeddings=False,
        ),
    ),
)
