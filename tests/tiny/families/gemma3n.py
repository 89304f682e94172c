"""Gemma 3n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import SANDWICH_NORMS, Shape, Shapes, linear
from tiny.tokenizer import VOCAB_SIZE

_FULL, _SLIDING = "full_attention", "sliding_attention"


def _layer(config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
    hidden, bias = config["hidden_size"], config.get("attention_bias", False)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, streams = config["head_dim"], config["altup_num_inputs"]
    yield from linear("self_attn.q_proj", heads * head_dim, hidden, bias=bias)
    yield "self_attn.q_norm.weight", (head_dim,)
    shared = layer >= config["num_hidden_layers"] - config["num_kv_shared_layers"]
    # Published checkpoints store them for all layers; newer versions of transformers do not.
    if not shared or "rope_parameters" not in config:
        for name in ("k", "v"):
            yield from linear(f"self_attn.{name}_proj", kv_heads * head_dim, hidden, bias=bias)
        yield "self_attn.k_norm.weight", (head_dim,)
    yield from linear("self_attn.o_proj", hidden, heads * head_dim, bias=bias)
    mlp = config["intermediate_size"]
    mlp = mlp[layer] if isinstance(mlp, list) else mlp
    yield from linear("mlp.gate_proj", mlp, hidden)
    yield from linear("mlp.up_proj", mlp, hidden)
    yield from linear("mlp.down_proj", hidden, mlp)
    for norm in SANDWICH_NORMS:
        yield f"{norm}_layernorm.weight", (hidden,)
    yield "altup.correct_output_scale", (hidden,)
    yield from linear("altup.correction_coefs", streams, streams)
    yield from linear("altup.prediction_coefs", streams**2, streams)
    yield from linear("altup.modality_router", streams, hidden)
    yield "altup.router_norm.weight", (hidden,)
    yield from linear("laurel.linear_left", config["laurel_rank"], hidden)
    yield from linear("laurel.linear_right", hidden, config["laurel_rank"])
    yield "laurel.post_laurel_norm.weight", (hidden,)
    yield from linear("per_layer_input_gate", config["hidden_size_per_layer_input"], hidden)
    yield from linear("per_layer_projection", hidden, config["hidden_size_per_layer_input"])
    yield "post_per_layer_input_norm.weight", (hidden,)


def _outside(config: Mapping[str, Any]) -> Shapes:
    hidden, own_size = config["hidden_size"], config["hidden_size_per_layer_input"]
    width = config["num_hidden_layers"] * own_size
    names: Shapes = {
        "embed_tokens_per_layer.weight": (config["vocab_size_per_layer_input"], width),
        "per_layer_model_projection.weight": (width, hidden),
        "per_layer_projection_norm.weight": (own_size,),
    }
    for which in ("projections", "unembed_projections"):
        for i in range(config["altup_num_inputs"] - 1):
            names[f"altup_{which}.{i}.weight"] = (hidden, hidden)
    return names


def _gguf_values(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "add_rope_freq_base_swa": config["rope_local_base_freq"],
        "add_altup_active_idx": config["altup_active_idx"],
        "add_altup_num_inputs": config["altup_num_inputs"],
        "add_embedding_length_per_layer_input": config["hidden_size_per_layer_input"],
        "add_shared_kv_layers": config["num_kv_shared_layers"],
        "add_activation_sparsity_scale": [
            NormalDist().inv_cdf(share) if share else -math.inf
            for share in config["activation_sparsity_pattern"]
        ],
        "add_sliding_window_pattern": [kind == _SLIDING for kind in config["layer_types"]],
    }


FAMILY = TinyFamily(
    "gemma3n_text",
    each_layer=_layer,
    outside=_outside,
    factors={
        "q_norm.weight": 0.3,  # instead of a scale of scores
        "modality_router.weight": 16.0,  # its input is divided by the hidden size
        "prediction_coefs.weight": 0.3,
        "correction_coefs.weight": 0.3,
    },
    tied=True,
    gguf=TinyGguf(
        "GEMMA3N",
        replaced=_gguf_values,
        stacked=("model.altup_projections", "model.altup_unembed_projections"),
    ),
    models=(
        tiny(
            "gemma3n_text",
            "sparse-shared",
            "Gemma3nForCausalLM",
            depends_on={
                "final_logit_softcapping": 5.0,
                "sliding_window": 11,
                "rope_local_base_freq": 9000.0,
                "rope_scaling/factor": 4.0,
                "altup_correct_scale": False,
                "altup_active_idx": 0,
                "activation_sparsity_pattern": [0.5, 0.5, 0.0, 0.0, 0.0],
            },
            unsupported=[
                ("altup_active_idx", {"altup_active_idx": 4}),
                ("activation_sparsity_pattern", {"activation_sparsity_pattern": 0.5}),
                ("activation_sparsity_pattern", {"activation_sparsity_pattern": [1.0] * 5}),
                ("intermediate_size", {"intermediate_size": [96, 64]}),
                ("num_kv_shared_layers", {"num_kv_shared_layers": 4}),
                ("final_logit_softcapping", {"final_logit_softcapping": None}),
            ],
            embedding=0.06,
            # The converter wants MLPs of one width, and pads the table of each layer with zeros.
            gguf={"intermediate_size": 96, "vocab_size_per_layer_input": VOCAB_SIZE},
            **(size(64, 5, 4, 1) | {"intermediate_size": [160, 96, 96, 96, 64]}),
            adds_bos=True,
            head_dim=16,
            hidden_activation="gelu_pytorch_tanh",
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=VOCAB_SIZE - 60,
            layer_types=[_SLIDING, _SLIDING, _FULL, _SLIDING, _FULL],
            num_kv_shared_layers=2,
            altup_num_inputs=4,
            altup_active_idx=1,
            altup_correct_scale=True,
            activation_sparsity_pattern=[0.75, 0.5, 0.0, 0.0, 0.0],
            laurel_rank=8,
            rope_theta=1000000.0,
            rope_local_base_freq=10000.0,
            rope_scaling={"rope_type": "linear", "factor": 8.0},
            sliding_window=WINDOW,
            final_logit_softcapping=6.0,
        ),
        tiny(
            "gemma3n_text",
            "untied",
            "Gemma3nForCausalLM",
            depends_on={
                "activation_sparsity_pattern": [0.0, 0.0, 0.5],
                "rope_parameters/sliding_attention/rope_theta": 900.0,
            },
            embedding=0.06,
            dtype="F32",
            **size(64, 3, 4, 2),
            adds_bos=True,
            head_dim=24,
            hidden_activation="gelu_pytorch_tanh",
            hidden_size_per_layer_input=16,
            vocab_size_per_layer_input=VOCAB_SIZE,
            layer_types=[_FULL, _SLIDING, _SLIDING],
            num_kv_shared_layers=0,
            attention_bias=True,
            altup_num_inputs=2,
            altup_correct_scale=False,
            laurel_rank=16,
            rope_parameters={
                _FULL: {"rope_type": "default", "rope_theta": 100000.0},
                _SLIDING: {"rope_type": "default", "rope_theta": 1000.0},
            },
            sliding_window=WINDOW,
            tie_word_embeddings=False,
        ),
    ),
)
