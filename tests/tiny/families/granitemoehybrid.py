"""Granite 4.0, dense and without Mamba layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, size, tiny
from tiny.tensors import Shape, linear


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    hidden, mlp = config["hidden_size"], config["shared_intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, bias = hidden // heads, config.get("attention_bias", False)
    for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
        yield from linear(f"self_attn.{name}_proj", count * head_dim, hidden, bias=bias)
    yield from linear("self_attn.o_proj", hidden, hidden, bias=bias)
    yield from linear("shared_mlp.input_linear", 2 * mlp, hidden)
    yield from linear("shared_mlp.output_linear", hidden, mlp)
    for norm in ("input", "post_attention"):
        yield f"{norm}_layernorm.weight", (hidden,)


FAMILY = TinyFamily(
    "granitemoehybrid",
    layer=_layer,
    models=(
        tiny(
            "granitemoehybrid",
            "rope-tied",
            "GraniteMoeHybridForCausalLM",
            depends_on={
                "embedding_multiplier": 3.1,
                "attention_multiplier": 0.13,
                "residual_multiplier": 0.91,
                "logits_scaling": 0.76,
                "position_embedding_type": "nope",
            },
            unsupported=[
                ("num_local_experts", {"num_local_experts": 4}),
                ("layer_types", {"layer_types": ["attention", "mamba"]}),
                ("layer_types", {"layer_types": None}),
                ("mamba_n_heads", {"mamba_n_heads": 7}),
                ("mamba_d_head", {"mamba_d_head": 15}),
            ],
            embedding=0.05,
            **size(64, 2, 4, 2),
            hidden_act="silu",
            num_local_experts=0,
            num_experts_per_tok=0,
            shared_intermediate_size=96,
            layer_types=["attention", "attention"],
            position_embedding_type="rope",
            rope_theta=10000.0,
            embedding_multiplier=3.0,
            attention_multiplier=0.125,
            residual_multiplier=0.9,
            logits_scaling=0.75,
            mamba_n_heads=8,
            mamba_d_head=16,
            mamba_d_state=32,
            tie_word_embeddings=True,
        ),
        tiny(
            "granitemoehybrid",
            "no-positions-untied",
            "GraniteMoeHybridForCausalLM",
            unsupported=[
                ("layers_block_type", {"layer_types": None, "layers_block_type": ["mamba"] * 3})
            ],
            dtype="F32",
            **size(64, 3, 4, 2),
            hidden_act="silu",
            attention_bias=True,
            num_local_experts=0,
            shared_intermediate_size=80,
            layer_types=["full_attention"] * 3,
            position_embedding_type=None,
            embedding_multiplier=1.5,
            attention_multiplier=0.25,
            residual_multiplier=0.9,
            logits_scaling=1.5,
            mamba_n_heads=8,
            tie_word_embeddings=False,
        ),
    ),
)
