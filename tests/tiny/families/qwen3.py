"""Qwen3."""

from __future__ import annotations

from functools import partial

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "qwen3",
    layer=partial(layer_tensors, qk_norm="head"),
    gguf=TinyGguf("QWEN3", window=False),
    models=(
        tiny(
            "qwen3",
            "gqa-tied",
            "Qwen3ForCausalLM",
            gguf={},
            unsupported=[
                ("layer_types", {"layer_types": ["full_attention", "chunked_attention"]}),
                ("layer_types", {"layer_types": ["full_attention", "sliding_attention"]}),
                ("layer_types", {"layer_types": ["full_attention"]}),
                ("max_window_layers", {"max_window_layers": -1}),
            ],
            **size(64, 2, 4, 2),
            head_dim=32,
            hidden_act="silu",
            rope_theta=1000000,
            rope_scaling=None,
            use_sliding_window=False,
            sliding_window=None,
            max_window_layers=2,
            tie_word_embeddings=True,
        ),
        tiny(
            "qwen3",
            "sliding-yarn-untied",
            "Qwen3ForCausalLM",
            depends_on={
                "max_window_layers": 2,
                "sliding_window": 13,
                "rope_scaling/attention_factor": 1.2,
            },
            dtype="F32",
            **size(64, 3, 4, 1),
            head_dim=16,
            hidden_act="silu",
            attention_bias=True,
            rope_theta=10000.0,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 2.0,
                "original_max_position_embeddings": 1024,
                "attention_factor": 1.25,
            },
            use_sliding_window=True,
            sliding_window=WINDOW,
            max_window_layers=1,
            tie_word_embeddings=False,
        ),
    ),
)
