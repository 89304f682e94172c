"""Configs of real models, and the names and shapes of their tensors."""

from __future__ import annotations

from typing import Any

# Sizes from the models' own config.json on the Hugging Face Hub.
_QWEN3: dict[str, Any] = {
    "model_type": "qwen3", "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 40960,
    "hidden_act": "silu", "tie_word_embeddings": True, "eos_token_id": 1,
}  # fmt: skip
_GEMMA3: dict[str, Any] = {
    "model_type": "gemma3_text", "vocab_size": 262144, "head_dim": 256, "num_key_value_heads": 1,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
    "max_position_embeddings": 32768, "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256, "sliding_window": 512, "eos_token_id": 1,
}  # fmt: skip


def _config(
    base: dict[str, Any], hidden: int, inner: int, layers: int, heads: int
) -> dict[str, Any]:
    return {
        **base, "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads,
    }  # fmt: skip


def _layers(kinds: str) -> list[str]:
    """The types of layers, of one letter each."""
    names = {"c": "conv", "f": "full_attention", "s": "sliding_attention"}
    return [names[kind] for kind in kinds]


_GEMMA4_E2B: dict[str, Any] = {
    "model_type": "gemma4_text", "vocab_size": 262144, "vocab_size_per_layer_input": 262144,
    "hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 35,
    "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256, "global_head_dim": 512,
    "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 20, "use_double_wide_mlp": True,
    "layer_types": _layers("ssssf" * 7), "sliding_window": 512, "rms_norm_eps": 1e-6,
    "final_logit_softcapping": 30.0, "max_position_embeddings": 131072, "eos_token_id": 1,
}  # fmt: skip
_LFM25_1B: dict[str, Any] = {
    "model_type": "lfm2", "vocab_size": 65536, "hidden_size": 2048, "intermediate_size": 12288,
    "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "layer_types": _layers("ccfccfccfcfcfcfc"), "conv_L_cache": 3, "conv_bias": False,
    "block_auto_adjust_ff_dim": True, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 256,
    "norm_eps": 1e-5, "rope_theta": 1e6, "max_position_embeddings": 128000,
    "tie_embedding": True, "eos_token_id": 1,
}  # fmt: skip

SIZES: dict[str, dict[str, Any]] = {
    "llama-0.6b": {
        **_config(_QWEN3, 1024, 3072, 28, 16), "model_type": "llama",
    },
    "qwen3-0.6b": _config(_QWEN3, 1024, 3072, 28, 16),
    "qwen3-1.7b": _config(_QWEN3, 2048, 6144, 28, 16),
    "qwen3-4b": _config(_QWEN3, 2560, 9728, 36, 32),
    "gemma-3-270m": _config(_GEMMA3, 640, 2048, 18, 4),
    "gemma-3-1b": _config(_GEMMA3, 1152, 6912, 26, 4),
    "gemma-4-e2b": _GEMMA4_E2B,
    # Three layers of 35, two of them with caches: litert-torch needs up to 12 GB for it.
    "gemma-4-e2b-3-layers": {
        **_GEMMA4_E2B, "num_hidden_layers": 3, "num_kv_shared_layers": 1,
        "layer_types": _layers("sff"),
    },
    "lfm2.5-1.2b": _LFM25_1B,
}  # fmt: skip


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a Llama, Qwen3, Gemma 3, Gemma 4 or LFM2 checkpoint."""
    own = {"gemma4_text": _gemma4_shapes, "lfm2": _lfm2_shapes}.get(config["model_type"])
    if own is not None:
        return own(config)
    hidden, inner, hd = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * hd, config["num_key_value_heads"] * hd
    family = config["model_type"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        found |= {
            p + "self_attn.q_proj.weight": (q, hidden),
            p + "self_attn.k_proj.weight": (kv, hidden),
            p + "self_attn.v_proj.weight": (kv, hidden),
            p + "self_attn.o_proj.weight": (hidden, q),
            p + "mlp.gate_proj.weight": (inner, hidden),
            p + "mlp.up_proj.weight": (inner, hidden),
            p + "mlp.down_proj.weight": (hidden, inner),
            p + "input_layernorm.weight": (hidden,),
            p + "post_attention_layernorm.weight": (hidden,),
        }
        if family != "llama":
            found |= {p + f"self_attn.{x}_norm.weight": (hd,) for x in "qk"}
        if family == "gemma3_text":
            found |= {p + f"{x}_feedforward_layernorm.weight": (hidden,) for x in ("pre", "post")}
    return found


def _gemma4_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of Gemma 4 with embeddings for each layer; keys are not values."""
    hidden, size = config["hidden_size"], config["hidden_size_per_layer_input"]
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.embed_tokens_per_layer.weight": (
            config["vocab_size_per_layer_input"],
            layers * size,
        ),
        "model.per_layer_model_projection.weight": (layers * size, hidden),
        "model.per_layer_projection_norm.weight": (size,),
        "model.norm.weight": (hidden,),
    }
    kinds = config.get("layer_types") or [
        "full_attention" if i % 6 == 5 else "" for i in range(layers)
    ]
    for i, kind in enumerate(kinds):
        p, full = f"model.layers.{i}.", kind == "full_attention" or i == layers - 1
        hd = config["global_head_dim"] if full else config["head_dim"]
        kv, shared = (
            config["num_key_value_heads"] * hd,
            i >= layers - config["num_kv_shared_layers"],
        )
        inner = config["intermediate_size"]
        inner *= 2 if shared and config.get("use_double_wide_mlp") else 1
        found |= {
            p + "self_attn.q_proj.weight": (heads * hd, hidden),
            p + "self_attn.o_proj.weight": (hidden, heads * hd),
            p + "self_attn.q_norm.weight": (hd,),
            p + "mlp.gate_proj.weight": (inner, hidden),
            p + "mlp.up_proj.weight": (inner, hidden),
            p + "mlp.down_proj.weight": (hidden, inner),
            p + "per_layer_input_gate.weight": (size, hidden),
            p + "per_layer_projection.weight": (hidden, size),
            p + "layer_scalar": (1,),
        }
        norms = ("input", "post_attention", "pre_feedforward", "post_feedforward")
        found |= {p + f"{x}_layernorm.weight": (hidden,) for x in norms}
        found[p + "post_per_layer_input_norm.weight"] = (hidden,)
        if not shared:
            found |= {p + f"self_attn.{x}_proj.weight": (kv, hidden) for x in "kv"}
            found[p + "self_attn.k_norm.weight"] = (hd,)
    return found


def _lfm2_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of LFM2, whose MLP is two thirds as wide as its config says, rounded up."""
    hidden, multiple = config["hidden_size"], config["block_multiple_of"]
    inner = -(-(2 * config["intermediate_size"] // 3) // multiple) * multiple
    hd = hidden // config["num_attention_heads"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.embedding_norm.weight": (hidden,),
    }
    for i, kind in enumerate(config["layer_types"]):
        p = f"model.layers.{i}."
        if kind == "conv":
            found |= {
                p + "conv.conv.weight": (hidden, 1, config["conv_L_cache"]),
                p + "conv.in_proj.weight": (3 * hidden, hidden),
                p + "conv.out_proj.weight": (hidden, hidden),
            }
        else:
            rows = {"q": hidden, "k": config["num_key_value_heads"] * hd}
            rows["v"] = rows["k"]
            found |= {p + f"self_attn.{x}_proj.weight": (n, hidden) for x, n in rows.items()}
            found[p + "self_attn.out_proj.weight"] = (hidden, hidden)
            found |= {p + f"self_attn.{x}_layernorm.weight": (hd,) for x in "qk"}
        found |= {p + f"feed_forward.{x}.weight": (inner, hidden) for x in ("w1", "w3")}
        found[p + "feed_forward.w2.weight"] = (hidden, inner)
        found |= {p + f"{x}_norm.weight": (hidden,) for x in ("operator", "ffn")}
    return found
