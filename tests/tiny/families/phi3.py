"""Phi-3."""

from __future__ import annotations

from functools import partial
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors


def _parameters(writer: Any, config: Any) -> None:
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(int(config.get("partial_rotary_factor", 1) * head_dim))
    writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    writer.add_sliding_window(config.get("sliding_window") or 0)


FAMILY = TinyFamily(
    "phi3",
    layer=partial(layer_tensors, fused=True),
    gguf=TinyGguf("PHI3", window=False, parameters=_parameters),
    models=(
        tiny(
            "phi3",
            "partial-longrope-tied",
            "Phi3ForCausalLM",
            gguf={},
            depends_on={"rope_scaling/factor": 1.0, "rope_theta": 11000.0},
            dtype="F32",
            **size(64, 3, 2, 1),
            hidden_act="silu",
            rope_theta=10000.0,
            partial_rotary_factor=0.75,
            rope_scaling={
                "type": "longrope",
                "short_factor": [1.0, 1.0, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.5],
                "long_factor": [1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0],
            },
            original_max_position_embeddings=256,
            pad_token_id=0,
            sliding_window=None,
            tie_word_embeddings=True,
        ),
        tiny(
            "phi3",
            "window-untied",
            "Phi3ForCausalLM",
            gguf={},
            depends_on={"sliding_window": 11},
            unsupported=[
                ("partial_rotary_factor", {"partial_rotary_factor": 1.5}),
                ("rope_scaling.type", {"rope_scaling": {"type": "llama4"}}),
            ],
            **size(64, 2, 4, 4),
            hidden_act="silu",
            rope_theta=10000.0,
            rope_scaling=None,
            original_max_position_embeddings=2048,
            pad_token_id=0,
            sliding_window=WINDOW,
            tie_word_embeddings=False,
        ),
    ),
)
