"""Cohere 2 (Command R7B)."""

from __future__ import annotations

from functools import partial

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "cohere2",
    layer=partial(layer_tensors, norms=("input",)),
    tied=True,
    gguf=TinyGguf(
        "COHERE2",
        norm_eps=("add_layer_norm_eps", "layer_norm_eps"),
        keys={"logit_scale": "add_logit_scale"},
    ),
    models=(
        tiny(
            "cohere2",
            "pattern-bias-untied",
            "Cohere2ForCausalLM",
            depends_on={
                "sliding_window": 11,
                "sliding_window_pattern": 2,
                "logit_scale": 0.5,
                "layer_norm_eps": 0.1,
                "rope_theta": 9000.0,
            },
            unsupported=[
                ("sliding_window", {"sliding_window": None}),
                ("sliding_window_pattern", {"sliding_window_pattern": 0}),
            ],
            dtype="F32",
            **size(64, 3, 4, 2),
            hidden_act="silu",
            attention_bias=True,
            layer_norm_eps=1e-5,
            logit_scale=1.5,
            rope_theta=10000.0,
            sliding_window=WINDOW,
            sliding_window_pattern=3,
            tie_word_embeddings=False,
        ),
        tiny(
            "cohere2",
            "types-tied",
            "Cohere2ForCausalLM",
            gguf={"layer_types": None, "num_hidden_layers": 4, "rms_norm_eps": 1e-6},
            depends_on={"layer_types": ["sliding_attention"] * 3},
            embedding=0.06,
            **size(96, 3, 6, 6),
            hidden_act="silu",
            layer_norm_eps=1e-6,
            logit_scale=1.0,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
            rope_theta=50000.0,
            sliding_window=WINDOW,
        ),
    ),
)
