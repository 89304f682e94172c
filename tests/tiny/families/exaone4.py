"""EXAONE 4.0."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    writer.add_sliding_window_pattern([t == "sliding_attention" for t in config["layer_types"]])


FAMILY = TinyFamily(
    "exaone4",
    layer=partial(layer_tensors, norms=("post_attention", "post_feedforward"), qk_norm="head"),
    gguf=TinyGguf("EXAONE4", parameters=_parameters),
    models=(
        tiny(
            "exaone4",
            "pattern-untied",
            "Exaone4ForCausalLM",
            depends_on={
                "sliding_window": 11,
                "sliding_window_pattern": 2,
                "rope_scaling/factor": 4.0,
            },
            unsupported=[
                ("sliding_window_pattern", {"sliding_window_pattern": 0}),
                ("sliding_window_pattern", {"sliding_window_pattern": "LLG"}),
            ],
            dtype="F32",
            **size(64, 3, 4, 2),
            hidden_act="silu",
            rope_theta=1000000.0,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 16.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
            sliding_window=WINDOW,
            sliding_window_pattern=3,
            tie_word_embeddings=False,
        ),
        tiny(
            "exaone4",
            "global-tied",
            "Exaone4ForCausalLM",
            depends_on={"rope_theta": 9000.0},
            unsupported=[
                ("layer_types", {"layer_types": None}),
                ("num_key_value_heads", {"num_key_value_heads": None}),
            ],
            embedding=0.06,
            **size(96, 2, 6, 6),
            hidden_act="silu",
            rope_theta=10000.0,
            sliding_window=None,
            sliding_window_pattern=None,
            layer_types=["full_attention"] * 2,
            tie_word_embeddings=True,
        ),
        tiny(
            "exaone4",
            "types-head-dim",
            "Exaone4ForCausalLM",
            gguf={},
            depends_on={"layer_types": ["sliding_attention"] * 3},
            unsupported=[("layer_types", {"sliding_window": None})],
            dtype="F16",
            **size(64, 3, 4, 1),
            head_dim=32,
            hidden_act="silu",
            rope_theta=10000.0,
            sliding_window=WINDOW,
            sliding_window_pattern="LLG",
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
            tie_word_embeddings=False,
        ),
    ),
)
