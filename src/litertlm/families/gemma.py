"""Gemma 1 (2B, 7B): Llama with scaled embeddings and norm weights stored as differences from 1.

Side by side with transformers/models/gemma/modeling_gemma.py; same tensor names.
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
    """The keys that are Gemma's own."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=16,
        head_dim=256,
        hidden_act="gelu_pytorch_tanh",
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    if c.flag("use_bidirectional_attention"):
        raise c.unsupported("use_bidirectional_attention", "is true; only causal models can be run")
    common = read_decoder(c)
    if common["hidden_act"] == "gelu":  # the first configs say so and mean the other one
        common["hidden_act"] = "gelu_pytorch_tanh"
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """GemmaForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.hidden_size**0.5)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = _norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = _norm(x, w, p + "post_attention_layernorm", eps)
        x = ops.add(x, blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = _norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _norm(x: Tensor, w: Weights, name: str, eps: float) -> Tensor:
    """RMSNorm; the weight is stored as its difference from 1."""
    return blocks.rms_norm(x, w, name, eps, weight_offset=1.0)
