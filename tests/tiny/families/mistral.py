"""Mistral."""

from __future__ import annotations

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny

FAMILY = TinyFamily(
    "mistral",
    gguf=TinyGguf("LLAMA", interleaved=True),
    models=(
        tiny(
            "mistral",
            "window-untied",
            "MistralForCausalLM",
            gguf={},
            depends_on={"sliding_window": None},
            unsupported=[("layer_types", {"layer_types": ["full_attention"] * 2})],
            **size(64, 2, 4, 2),
            adds_bos=True,
            hidden_act="silu",
            rope_theta=10000.0,
            sliding_window=WINDOW,
            tie_word_embeddings=False,
        ),
        tiny(
            "mistral",
            "head-dim-tied",
            "MistralForCausalLM",
            dtype="F32",
            **size(64, 2, 4, 1),
            adds_bos=True,
            head_dim=24,
            hidden_act="silu",
            rope_theta=1000000.0,
            sliding_window=None,
            tie_word_embeddings=True,
        ),
    ),
)
