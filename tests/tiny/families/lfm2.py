"""LFM2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, linear


def _mlp_width(config: Mapping[str, Any]) -> int:
    width = int(config.get("block_ff_dim", config["intermediate_size"]))
    if not config.get("block_auto_adjust_ff_dim", True):
        return width
    width = int(config.get("block_ffn_dim_multiplier", 1.0) * int(2 * width / 3))
    multiple = config.get("block_multiple_of", 256)
    return int(multiple * ((width + multiple - 1) // multiple))


def _attends(config: Mapping[str, Any], layer: int) -> bool:
    if "layer_types" in config:
        return bool(config["layer_types"][layer] == "full_attention")
    return layer in config["full_attn_idxs"]


def _layer(config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
    hidden, mlp = config["hidden_size"], _mlp_width(config)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = hidden // heads
    if _attends(config, layer):
        for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            yield from linear(f"self_attn.{name}_proj", count * head_dim, hidden)
        yield from linear("self_attn.out_proj", hidden, hidden)
        yield "self_attn.q_layernorm.weight", (head_dim,)
        yield "self_attn.k_layernorm.weight", (head_dim,)
    else:
        bias = config.get("conv_bias", False)
        yield "conv.conv.weight", (hidden, 1, config.get("conv_L_cache", 3))
        if bias:
            yield "conv.conv.bias", (hidden,)
        yield from linear("conv.in_proj", 3 * hidden, hidden, bias=bias)
        yield from linear("conv.out_proj", hidden, hidden, bias=bias)
    yield from linear("feed_forward.w1", mlp, hidden)
    yield from linear("feed_forward.w3", mlp, hidden)
    yield from linear("feed_forward.w2", hidden, mlp)
    yield "operator_norm.weight", (hidden,)
    yield "ffn_norm.weight", (hidden,)


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    layers = range(config["num_hidden_layers"])
    heads = config["num_key_value_heads"]
    writer.add_head_count_kv([heads if _attends(config, layer) else 0 for layer in layers])
    writer.add_feed_forward_length(_mlp_width(config))
    writer.add_shortconv_l_cache(config["conv_L_cache"])


FAMILY = TinyFamily(
    "lfm2",
    each_layer=_layer,
    tied=True,
    final_norm=("embedding_norm.weight",),
    gguf=TinyGguf("LFM2", norm_eps=("add_layer_norm_rms_eps", "norm_eps"), parameters=_parameters),
    models=(
        tiny(
            "lfm2",
            "bias-four-taps-untied",
            "Lfm2ForCausalLM",
            gguf={"conv_bias": False},
            depends_on={"norm_eps": 0.01, "rope_theta": 9000.0},
            unsupported=[
                ("layer_types", {"layer_types": ["conv", "sliding_attention", "conv", "conv"]}),
                ("conv_L_cache", {"conv_L_cache": 0}),
                ("full_attn_idxs", {"full_attn_idxs": 2}),
            ],
            dtype="F32",
            **size(64, 4, 4, 2),
            norm_eps=1e-5,
            conv_bias=True,
            conv_L_cache=4,
            block_auto_adjust_ff_dim=False,
            layer_types=["conv", "full_attention", "conv", "full_attention"],
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "lfm2",
            "adjusted-idxs-tied",
            "Lfm2ForCausalLM",
            unsupported=[
                ("full_attn_idxs", {"full_attn_idxs": ["2"]}),
                ("full_attn_idxs", {"full_attn_idxs": []}),
            ],
            embedding=0.06,
            **size(64, 3, 4, 4),
            adds_bos=True,
            norm_eps=1e-5,
            block_ff_dim=150,
            block_ffn_dim_multiplier=1.1,
            block_multiple_of=32,
            block_auto_adjust_ff_dim=True,
            conv_L_cache=3,
            full_attn_idxs=[2],
            tie_embedding=True,
        ),
    ),
)
