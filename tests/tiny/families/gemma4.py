"""Gemma 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import SANDWICH_NORMS, Shape, Shapes, linear
from tiny.tokenizer import VOCAB_SIZE

_FULL, _SLIDING = "full_attention", "sliding_attention"


def gemma4_layer(config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    full = config["layer_types"][layer] == _FULL
    shared = layer >= config["num_hidden_layers"] - config.get("num_kv_shared_layers", 0)
    same = full and config.get("attention_k_eq_v", False)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, bias = config["head_dim"], config.get("attention_bias", False)
    if full:
        head_dim = config.get("global_head_dim", 512)
        if same:
            kv_heads = config.get("num_global_key_value_heads") or kv_heads
        own = config.get("per_layer_config", {}).get(str(layer), {})
        head_dim, kv_heads = own.get("head_dim", head_dim), own.get("num_key_value_heads", kv_heads)
    yield from linear("self_attn.q_proj", heads * head_dim, hidden, bias=bias)
    yield "self_attn.q_norm.weight", (head_dim,)
    # Published checkpoints store keys and values also for layers that do not use them; newer
    # versions of transformers, which write `per_layer_config`, do not.
    if not shared or "per_layer_config" not in config:
        yield "self_attn.k_norm.weight", (head_dim,)
        for name in ("k",) if same else ("k", "v"):
            yield from linear(f"self_attn.{name}_proj", kv_heads * head_dim, hidden, bias=bias)
    yield from linear("self_attn.o_proj", hidden, heads * head_dim, bias=bias)
    wide = 2 if config.get("use_double_wide_mlp") and shared else 1
    yield from linear("mlp.gate_proj", wide * mlp, hidden)
    yield from linear("mlp.up_proj", wide * mlp, hidden)
    yield from linear("mlp.down_proj", hidden, wide * mlp)
    for norm in SANDWICH_NORMS:
        yield f"{norm}_layernorm.weight", (hidden,)
    yield "layer_scalar", (1,)
    if own_size := config.get("hidden_size_per_layer_input", 0):
        yield from linear("per_layer_input_gate", own_size, hidden)
        yield from linear("per_layer_projection", hidden, own_size)
        yield "post_per_layer_input_norm.weight", (hidden,)


def _outside(config: Mapping[str, Any]) -> Shapes:
    own_size, layers = config["hidden_size_per_layer_input"], config["num_hidden_layers"]
    if not own_size:
        return {}
    width = layers * own_size
    return {
        "embed_tokens_per_layer.weight": (config["vocab_size_per_layer_input"], width),
        "per_layer_model_projection.weight": (width, config["hidden_size"]),
        "per_layer_projection_norm.weight": (own_size,),
    }


def _gguf_values(config: Mapping[str, Any]) -> dict[str, Any]:
    sliding = [kind == _SLIDING for kind in config["layer_types"]]
    ropes, mlp = config["rope_parameters"], config["intermediate_size"]
    layers, shared = config["num_hidden_layers"], config.get("num_kv_shared_layers", 0)
    values = {
        "add_rope_freq_base": ropes[_FULL]["rope_theta"],
        "add_rope_freq_base_swa": ropes[_SLIDING]["rope_theta"],
        "add_rope_dimension_count": config["global_head_dim"],
        "add_rope_dimension_count_swa": config["head_dim"],
        "add_key_length": config["global_head_dim"],
        "add_value_length": config["global_head_dim"],
        "add_key_length_swa": config["head_dim"],
        "add_value_length_swa": config["head_dim"],
        "add_shared_kv_layers": shared,
        "add_embedding_length_per_layer_input": config["hidden_size_per_layer_input"],
        "add_sliding_window_pattern": sliding,
    }
    if config.get("use_double_wide_mlp"):
        widths = [mlp] * (layers - shared) + [2 * mlp] * shared
        values["add_feed_forward_length"] = widths
    if global_heads := config.get("num_global_key_value_heads"):
        heads = config["num_key_value_heads"]
        values["add_head_count_kv"] = [heads if s else global_heads for s in sliding]
    return values


def _gguf_rope_factors(config: Mapping[str, Any]) -> list[float]:
    half = config["global_head_dim"] // 2
    rotated = int(half * config["rope_parameters"][_FULL]["partial_rotary_factor"])
    return [1.0] * rotated + [1e30] * (half - rotated)


FAMILY = TinyFamily(
    "gemma4_text",
    each_layer=gemma4_layer,
    outside=_outside,
    factors={"q_norm.weight": 0.3},  # instead of a scale of scores
    tied=True,
    gguf=TinyGguf("GEMMA4", replaced=_gguf_values, rope_factors=_gguf_rope_factors),
    models=(
        tiny(
            "gemma4_text",
            "shared-wide",
            "Gemma4ForCausalLM",
            depends_on={
                "final_logit_softcapping": None,
                "sliding_window": 11,
                "rope_parameters/full_attention/partial_rotary_factor": 0.5,
                "rope_parameters/sliding_attention/rope_theta": 9000.0,
            },
            unsupported=[
                ("enable_moe_block", {"enable_moe_block": True}),
                ("use_bidirectional_attention", {"use_bidirectional_attention": "all"}),
                ("num_kv_shared_layers", {"num_kv_shared_layers": 5}),
                ("top_k_experts", {"top_k_experts": True}),
                (
                    "rope_parameters.sliding_attention.rope_theta",
                    {"rope_parameters/sliding_attention": {"rope_type": "default"}},
                ),
                ("rope_parameters.full_attention", {"rope_parameters": {"rope_type": "default"}}),
                ("vocab_size_per_layer_input", {"vocab_size_per_layer_input": VOCAB_SIZE - 1}),
            ],
            embedding=0.06,
            gguf={},
            **size(64, 5, 4, 1),
            adds_bos=True,
            head_dim=16,
            global_head_dim=32,
            hidden_activation="gelu_pytorch_tanh",
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=VOCAB_SIZE,
            layer_types=[_SLIDING, _SLIDING, _FULL, _SLIDING, _FULL],
            num_kv_shared_layers=2,
            use_double_wide_mlp=True,
            rope_parameters={
                _FULL: {
                    "rope_type": "proportional",
                    "partial_rotary_factor": 0.25,
                    "rope_theta": 100000.0,
                },
                _SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
            },
            sliding_window=WINDOW,
            final_logit_softcapping=6.0,
        ),
        tiny(
            "gemma4",
            "saved-again",
            "Gemma4ForConditionalGeneration",
            depends_on={"text_config/final_logit_softcapping": 6.0},
            unsupported=[
                ("text_config.pad_token_id", {"text_config/pad_token_id": None}),
                (
                    "text_config.per_layer_config.3",
                    {"text_config/per_layer_config/3": {"head_dim": 32}},
                ),
                (
                    "text_config.per_layer_config.1.intermediate_size",
                    {"text_config/per_layer_config/1/intermediate_size": 32},
                ),
            ],
            embedding=0.06,
            dtype="F16",
            adds_bos=True,
            prefix="model.language_model.",
            text_config={
                "model_type": "gemma4_text",
                **size(64, 3, 4, 2),
                "head_dim": 16,
                "vocab_size": VOCAB_SIZE,
                "hidden_size_per_layer_input": 16,
                "vocab_size_per_layer_input": VOCAB_SIZE + 2,
                "layer_types": [_SLIDING, _FULL, _FULL],
                "num_kv_shared_layers": 1,
                "per_layer_config": {
                    "1": {"head_dim": 32, "num_key_value_heads": 1},
                    "2": {"head_dim": 32, "num_key_value_heads": 1},
                },
                "sliding_window": WINDOW,
            },
            vision_config=None,
            audio_config=None,
        ),
        tiny(
            "gemma4_text",
            "k-eq-v",
            "Gemma4ForCausalLM",
            depends_on={
                "rope_parameters/full_attention/factor": 1.0,
                "rope_parameters/sliding_attention/factor": 1.0,
            },
            embedding=0.06,
            dtype="F32",
            gguf={
                "attention_bias": False,
                "final_logit_softcapping": 30.0,  # what llama.cpp has where a file has none
                "rope_parameters": {
                    _FULL: {
                        "rope_type": "proportional",
                        "partial_rotary_factor": 0.5,
                        "rope_theta": 100000.0,
                    },
                    _SLIDING: {"rope_type": "default", "rope_theta": 1000.0},
                },
            },
            **size(64, 3, 4, 2),
            adds_bos=True,
            head_dim=16,
            global_head_dim=24,
            num_global_key_value_heads=1,
            hidden_activation="gelu_pytorch_tanh",
            hidden_size_per_layer_input=0,
            attention_k_eq_v=True,
            attention_bias=True,
            use_bidirectional_attention="vision",
            layer_types=[_SLIDING, _SLIDING, _FULL],
            rope_parameters={
                _FULL: {"rope_type": "proportional", "factor": 2.0, "rope_theta": 100000.0},
                _SLIDING: {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000.0},
            },
            sliding_window=WINDOW,
            tie_word_embeddings=False,
        ),
    ),
)
