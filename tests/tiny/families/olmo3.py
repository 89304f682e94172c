"""OLMo 3."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    writer.add_sliding_window_pattern([t == "sliding_attention" for t in config["layer_types"]])


FAMILY = TinyFamily(
    "olmo3",
    layer=partial(layer_tensors, norms=("post_attention", "post_feedforward"), qk_norm="all"),
    gguf=TinyGguf("OLMO2", parameters=_parameters),
    models=(
        tiny(
            "olmo3",
            "yarn-pattern",
            "Olmo3ForCausalLM",
            gguf={
                "rope_theta": 500000.0,
                "layer_types": ["full_attention", "sliding_attention"] * 2,
            },
            depends_on={
                "sliding_window": 11,
                "rope_theta": 90000.0,
                "rope_scaling/factor": 4.0,
                "rope_scaling/attention_factor": 1.0,
            },
            unsupported=[
                ("rope_scaling.type", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
                ("sliding_window", {"sliding_window": 0}),
            ],
            dtype="F32",
            **size(64, 4, 4, 2),
            hidden_act="silu",
            rope_theta=10000.0,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 8.0,
                "original_max_position_embeddings": 64,
                "attention_factor": 1.2,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
            },
            sliding_window=WINDOW,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "olmo3",
            "types-bias-tied",
            "Olmo3ForCausalLM",
            depends_on={
                "layer_types": ["full_attention"] * 3,
                "rope_parameters/sliding_attention/rope_theta": 90.0,
                "rope_parameters/full_attention/factor": 4.0,
            },
            unsupported=[
                ("rope_parameters", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}})
            ],
            **size(64, 3, 4, 2),
            hidden_act="silu",
            attention_bias=True,
            layer_types=["full_attention", "sliding_attention", "full_attention"],
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
            },
            sliding_window=WINDOW,
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
