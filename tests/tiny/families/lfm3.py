"""LFM3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import WINDOW, TinyFamily, size, tiny
from tiny.tensors import Shape, linear

_DEFAULT_TYPES = ("conv", "conv", "full_attention", "conv", "sliding_attention", "conv")


def _layer(config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", 128)
    if config.get("layer_types", _DEFAULT_TYPES)[layer] != "conv":
        bias = config.get("attention_bias", False)
        for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            yield from linear(f"self_attn.{name}_proj", count * head_dim, hidden, bias=bias)
        yield from linear("self_attn.o_proj", hidden, heads * head_dim, bias=bias)
        yield "self_attn.q_norm.weight", (head_dim,)
        yield "self_attn.k_norm.weight", (head_dim,)
        if config.get("use_attention_gate", True):
            yield from linear("self_attn.g_proj", heads, hidden)
    else:
        bias = config.get("conv_bias", False)
        yield "conv.conv.weight", (hidden, 1, config.get("conv_L_cache", 7))
        if bias:
            yield "conv.conv.bias", (hidden,)
        yield from linear("conv.in_proj", 3 * hidden, hidden, bias=bias)
        yield from linear("conv.out_proj", hidden, hidden, bias=bias)
    yield from linear("feed_forward.w1", mlp, hidden)
    yield from linear("feed_forward.w3", mlp, hidden)
    yield from linear("feed_forward.w2", hidden, mlp)
    norms = ("operator_norm", "ffn_norm")
    if config.get("use_sandwich_norm", True):
        norms = (*norms, "post_operator_norm", "post_ffn_norm")
    for norm in norms:
        yield f"{norm}.weight", (hidden,)


FAMILY = TinyFamily(
    "lfm3",
    each_layer=_layer,
    tied=True,
    final_norm=("embedding_norm.weight",),
    models=(
        tiny(
            "lfm3",
            "gates-window-untied",
            "Lfm3ForCausalLM",
            depends_on={"sliding_window": 11, "rms_norm_eps": 0.01},
            unsupported=[
                ("layer_types", {"layer_types": ["conv"] * 6}),
                ("sliding_window", {"sliding_window": None}),
                ("rope_scaling", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
            ],
            dtype="F32",
            **size(64, 6, 4, 2, mlp=64),
            head_dim=16,
            conv_bias=True,
            attention_bias=True,
            sliding_window=WINDOW,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "lfm3",
            "plain-ropes-tied",
            "Lfm3ForCausalLM",
            depends_on={
                "rope_parameters/full_attention/rope_theta": 900.0,
                "rope_parameters/full_attention/partial_rotary_factor": 0.5,
                "rope_parameters/sliding_attention/factor": 3.0,
            },
            unsupported=[
                ("rope_parameters.full_attention", {"rope_parameters": {"sliding_attention": {}}}),
            ],
            embedding=0.06,
            **size(96, 3, 6, 3),
            head_dim=24,
            conv_L_cache=3,
            layer_types=["sliding_attention", "conv", "full_attention"],
            sliding_window=WINDOW,
            use_attention_gate=False,
            use_sandwich_norm=False,
            pad_token_id=0,
            rope_parameters={
                "full_attention": {
                    "rope_type": "proportional",
                    "rope_theta": 10000.0,
                    "partial_rotary_factor": 0.25,
                },
                "sliding_attention": {
                    "rope_type": "linear",
                    "rope_theta": 10000.0,
                    "factor": 2.0,
                },
            },
        ),
    ),
)
