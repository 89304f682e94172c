"""MiniCPM3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, linear


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    hidden, mlp, heads = (
        config[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")
    )
    nope, rotated = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    value_dim = config["v_head_dim"] or hidden // heads
    rank, query_rank = config["kv_lora_rank"], config["q_lora_rank"]
    bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    if query_rank is None:
        yield from linear("self_attn.q_proj", heads * (nope + rotated), hidden)
    else:
        yield from linear("self_attn.q_a_proj", query_rank, hidden, bias=bias)
        yield "self_attn.q_a_layernorm.weight", (query_rank,)
        yield from linear("self_attn.q_b_proj", heads * (nope + rotated), query_rank)
    yield from linear("self_attn.kv_a_proj_with_mqa", rank + rotated, hidden, bias=bias)
    yield "self_attn.kv_a_layernorm.weight", (rank,)
    yield from linear("self_attn.kv_b_proj", heads * (nope + value_dim), rank)
    yield from linear("self_attn.o_proj", hidden, heads * value_dim, bias=bias)
    yield from linear("mlp.gate_proj", mlp, hidden, bias=mlp_bias)
    yield from linear("mlp.up_proj", mlp, hidden, bias=mlp_bias)
    yield from linear("mlp.down_proj", hidden, mlp, bias=mlp_bias)
    yield "input_layernorm.weight", (hidden,)
    yield "post_attention_layernorm.weight", (hidden,)


# The multipliers that llama.cpp has for all MiniCPM3.
_LLAMA_CPP = {"scale_emb": 12.0, "scale_depth": 1.4, "dim_model_base": 256}


def _sizes(config: Mapping[str, Any]) -> Mapping[str, Any]:
    rotated = config["qk_rope_head_dim"]
    return {
        "add_key_length": config["qk_nope_head_dim"] + rotated,
        "add_rope_dimension_count": rotated,
        "add_rope_freq_base": None,
        "add_kv_lora_rank": config["kv_lora_rank"],
        "add_q_lora_rank": config["q_lora_rank"],
    }


FAMILY = TinyFamily(
    "minicpm3",
    layer=_layer,
    tied=True,
    gguf=TinyGguf("MINICPM3", replaced=_sizes),
    models=(
        tiny(
            "minicpm3",
            "latent-bias-untied",
            "MiniCPM3ForCausalLM",
            gguf=_LLAMA_CPP | {"attention_bias": False, "mlp_bias": False, "v_head_dim": 16},
            depends_on={
                "scale_emb": 3.0,
                "scale_depth": 1.0,
                "dim_model_base": 64,
                "rope_theta": 90.0,
            },
            unsupported=[
                ("num_key_value_heads", {"num_key_value_heads": 2}),
                ("logits_scaling", {"logits_scaling": 2.0}),
                ("kv_lora_rank", {"kv_lora_rank": None}),
                (
                    "rope_parameters",
                    {
                        "rope_scaling": {
                            "rope_type": "yarn",
                            "factor": 2.0,
                            "mscale_all_dim": 1.0,
                        }
                    },
                ),
            ],
            dtype="F32",
            **size(64, 2, 4, 4),
            hidden_act="silu",
            attention_bias=True,
            mlp_bias=True,
            q_lora_rank=32,
            kv_lora_rank=48,
            qk_nope_head_dim=16,
            qk_rope_head_dim=8,
            v_head_dim=20,
            scale_emb=2,
            scale_depth=1.4,
            dim_model_base=32,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "minicpm3",
            "direct-longrope-tied",
            "MiniCPM3ForCausalLM",
            gguf=_LLAMA_CPP | {"q_lora_rank": 24, "v_head_dim": 16},
            embedding=0.06,
            **size(96, 3, 6, 6),
            hidden_act="silu",
            q_lora_rank=None,
            kv_lora_rank=32,
            qk_nope_head_dim=8,
            qk_rope_head_dim=16,
            v_head_dim=None,
            scale_emb=12,
            scale_depth=None,
            dim_model_base=None,
            rope_theta=10000.0,
            rope_scaling={
                "type": "longrope",
                "long_factor": [1.0 + i for i in range(8)],
                "short_factor": [1.0 + 0.1 * i for i in range(8)],
                "original_max_position_embeddings": 2048,
            },
            tie_word_embeddings=True,
        ),
    ),
)
