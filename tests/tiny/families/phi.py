"""Phi-1 and Phi-2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, linear


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = hidden // heads
    for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
        yield from linear(f"self_attn.{name}_proj", count * head_dim, hidden, bias=True)
    yield from linear("self_attn.dense", hidden, heads * head_dim, bias=True)
    norms = ["input_layernorm"]
    if config.get("qk_layernorm", False):
        norms += ["self_attn.q_layernorm", "self_attn.k_layernorm"]
    yield from linear("mlp.fc1", mlp, hidden, bias=True)
    yield from linear("mlp.fc2", hidden, mlp, bias=True)
    for norm in norms:
        width = hidden if norm == "input_layernorm" else head_dim
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_dimension_count(int(head_dim * config["partial_rotary_factor"]))


FAMILY = TinyFamily(
    "phi",
    layer=_layer,
    final_norm=("final_layernorm.weight", "final_layernorm.bias"),
    head_bias=True,
    gguf=TinyGguf(
        "PHI2", norm_eps=("add_layer_norm_eps", "layer_norm_eps"), parameters=_parameters
    ),
    models=(
        tiny(
            "phi",
            "head-norms-untied",
            "PhiForCausalLM",
            gguf={"qk_layernorm": False},
            depends_on={"layer_norm_eps": 0.1, "partial_rotary_factor": 0.25},
            unsupported=[("qk_layernorm", {"head_dim": 24})],
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="gelu_new",
            layer_norm_eps=1e-5,
            qk_layernorm=True,
            partial_rotary_factor=0.5,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "phi",
            "half-tied",
            "PhiForCausalLM",
            depends_on={"hidden_act": "gelu", "partial_rotary_factor": 0.25},
            embedding=0.06,
            **size(96, 3, 6, 6),
            hidden_act="silu",
            layer_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
            tie_word_embeddings=True,
        ),
    ),
)
