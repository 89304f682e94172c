"""Gemma 1."""

from __future__ import annotations

from tiny.model import TinyFamily, TinyGguf, size, tiny

FAMILY = TinyFamily(
    "gemma",
    norm_offset=1.0,
    tied=True,
    gguf=TinyGguf("GEMMA"),
    models=(
        tiny(
            "gemma",
            "bias-linear",
            "GemmaForCausalLM",
            depends_on={"rope_scaling/factor": 4.0, "hidden_act": "silu"},
            unsupported=[("use_bidirectional_attention", {"use_bidirectional_attention": True})],
            embedding=0.06,
            dtype="F32",
            **size(64, 2, 4, 1),
            adds_bos=True,
            head_dim=32,
            hidden_act="gelu",
            attention_bias=True,
            rope_theta=10000.0,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
        ),
        tiny(
            "gemma",
            "untied",
            "GemmaForCausalLM",
            gguf={"tie_word_embeddings": True},
            depends_on={"rope_theta": 9000.0},
            embedding=0.06,
            **size(96, 3, 6, 6),
            adds_bos=True,
            head_dim=16,
            hidden_act="gelu_pytorch_tanh",
            hidden_activation=None,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
    ),
)
