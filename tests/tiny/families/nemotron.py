"""Nemotron."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_dimension_count(int(head_dim * config["partial_rotary_factor"]))


FAMILY = TinyFamily(
    "nemotron",
    layer=partial(layer_tensors, mlp_modules=("up_proj", "down_proj"), norm_bias=True),
    norm_offset=1.0,
    final_norm=("norm.weight", "norm.bias"),
    gguf=TinyGguf("NEMOTRON", norm_eps=("add_layer_norm_eps", "norm_eps"), parameters=_parameters),
    models=(
        tiny(
            "nemotron",
            "bias-partial-untied",
            "NemotronForCausalLM",
            gguf={},
            depends_on={"norm_eps": 0.1, "rope_theta": 9000.0, "partial_rotary_factor": 0.25},
            unsupported=[("num_key_value_heads", {"num_key_value_heads": None})],
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            norm_eps=1e-5,
            attention_bias=True,
            mlp_bias=True,
            hidden_act="relu2",
            rope_theta=10000.0,
            partial_rotary_factor=0.5,
            tie_word_embeddings=False,
        ),
        tiny(
            "nemotron",
            "half-silu-tied",
            "NemotronForCausalLM",
            depends_on={"hidden_act": "gelu"},
            embedding=0.06,
            **size(96, 3, 6, 6),
            norm_eps=1e-6,
            hidden_act="silu",
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
            tie_word_embeddings=True,
        ),
    ),
)
