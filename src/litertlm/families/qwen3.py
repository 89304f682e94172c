"""Qwen3 (0.6B to 32B), dense: Llama with a norm over each query and key head, optional windows.

Side by side with transformers/models/qwen3/modeling_qwen3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import (
    DecoderConfig,
    layer_windows,
    read_decoder,
    switched_window,
)
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Qwen3's own."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(head_dim=128, max_position_embeddings=32768)
    common = read_decoder(c)
    full = c.count("max_window_layers", 28)
    window = switched_window(c)
    sliding = [window is not None and i >= full for i in range(common["num_hidden_layers"])]
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        windows=layer_windows(c, window, sliding),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Qwen3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        x = ops.add(x, blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias, eps = c.attention_bias, c.rms_norm_eps
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    q = rotate(blocks.rms_norm(q, w, p + "q_norm", eps))
    k = rotate(blocks.rms_norm(k, w, p + "k_norm", eps))
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
