"""Apertus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    yield from layer_tensors(
        config,
        mlp_modules=("up_proj", "down_proj"),
        qk_norm="head",
        norms=("attention", "feedforward"),
    )
    if config["hidden_act"] == "xielu":
        yield "mlp.act_fn.alpha_p", (1,)
        yield "mlp.act_fn.alpha_n", (1,)
        yield "mlp.act_fn.beta", ()
        yield "mlp.act_fn.eps", ()


FAMILY = TinyFamily(
    "apertus",
    layer=_layer,
    gguf=TinyGguf(
        "APERTUS",
        values={
            f"act_fn.{name}": f"add_xielu_{name}" for name in ("alpha_p", "alpha_n", "beta", "eps")
        },
    ),
    models=(
        tiny(
            "apertus",
            "xielu-bias-untied",
            "ApertusForCausalLM",
            gguf={
                "attention_bias": False,
                "rope_theta": 12000000.0,
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            depends_on={"rope_parameters": {"rope_type": "default", "rope_theta": 12000000.0}},
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="xielu",
            attention_bias=True,
            pad_token_id=0,
            rope_parameters=None,
            tie_word_embeddings=False,
        ),
        tiny(
            "apertus",
            "linear-silu-tied",
            "ApertusForCausalLM",
            depends_on={"rope_scaling/factor": 4.0, "hidden_act": "gelu"},
            embedding=0.06,
            **size(96, 3, 6, 6),
            hidden_act="silu",
            rope_theta=1000.0,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
        tiny(
            "apertus",
            "xielu-bf16",
            "ApertusForCausalLM",
            gguf={"rope_theta": 10000.0},
            **size(64, 2, 4, 4),
            head_dim=24,
            hidden_act="xielu",
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
    ),
)
