"""Helium 1 (2B): Llama with interleaved rotary pairs, and no bias after attention.

Side by side with transformers/models/helium/modeling_helium.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Helium's own."""

    attention_bias: bool
    mlp_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=20, head_dim=128, rms_norm_eps=1e-8, max_position_embeddings=4096
    )
    common = read_decoder(c)
    if common["head_dim"] * common["num_attention_heads"] != common["hidden_size"]:
        raise c.unsupported("head_dim", "times the number of heads is not the hidden size")
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        mlp_bias=c.flag("mlp_bias"),
        rope=read_rope(c, common["head_dim"], theta=100000.0),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """HeliumForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        y = blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act, bias=c.mlp_bias)
        x = ops.add(x, y)
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias, interleaved=hd)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
