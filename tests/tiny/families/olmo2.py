"""OLMo 2."""

from __future__ import annotations

from functools import partial

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "olmo2",
    layer=partial(layer_tensors, norms=("post_attention", "post_feedforward"), qk_norm="all"),
    gguf=TinyGguf("OLMO2"),
    models=(
        tiny(
            "olmo2",
            "mha-untied",
            "Olmo2ForCausalLM",
            dtype="F32",
            **size(64, 2, 4, 4),
            hidden_act="silu",
            rope_theta=500000,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "olmo2",
            "bias-linear-tied",
            "Olmo2ForCausalLM",
            gguf={},
            **size(96, 3, 6, 2),
            hidden_act="silu",
            attention_bias=True,
            rope_theta=10000.0,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
