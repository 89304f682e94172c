"""Qwen2."""

from __future__ import annotations

from functools import partial

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "qwen2",
    layer=partial(layer_tensors, qkv_bias=True),
    gguf=TinyGguf("QWEN2", window=False),
    models=(
        tiny(
            "qwen2",
            "bias-tied",
            "Qwen2ForCausalLM",
            gguf={},
            depends_on={"use_sliding_window": True},
            **size(64, 2, 4, 2),
            hidden_act="silu",
            rope_theta=1000000.0,
            use_sliding_window=False,
            sliding_window=WINDOW,
            max_window_layers=0,
            tie_word_embeddings=True,
        ),
        tiny(
            "qwen2",
            "sliding-untied",
            "Qwen2ForCausalLM",
            depends_on={"use_sliding_window": False},
            dtype="F16",
            **size(96, 3, 3, 1),
            hidden_act="silu",
            rope_theta=10000.0,
            use_sliding_window=True,
            sliding_window=WINDOW,
            max_window_layers=2,
            tie_word_embeddings=False,
        ),
    ),
)
