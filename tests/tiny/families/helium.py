"""Helium."""

from __future__ import annotations

from functools import partial

from tiny.model import TinyFamily, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "helium",
    layer=partial(layer_tensors, out_bias=False),
    models=(
        tiny(
            "helium",
            "bias-untied",
            "HeliumForCausalLM",
            depends_on={"rope_theta": 9000.0},
            unsupported=[("head_dim", {"head_dim": 24})],
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=16,
            hidden_act="silu",
            attention_bias=True,
            mlp_bias=True,
            rope_theta=10000.0,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "helium",
            "linear-tied",
            "HeliumForCausalLM",
            depends_on={"rope_scaling/factor": 4.0},
            **size(96, 3, 6, 1),
            head_dim=16,
            hidden_act="silu",
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
