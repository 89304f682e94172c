"""OLMo 2 (1B, 7B): norms after attention and MLP only, and over all queries and keys of a token.

Side by side with transformers/models/olmo2/modeling_olmo2.py; same tensor names.
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
    """The keys that are OLMo 2's own."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(rms_norm_eps=1e-5)
    common = read_decoder(c)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Olmo2ForCausalLM: embeddings, layers, norm, head."""
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = _attention(step, w, c, i, x)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_attention_layernorm", c.rms_norm_eps))
        y = blocks.mlp(x, w, p + "mlp", c.intermediate_size, c.hidden_act)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_feedforward_layernorm", c.rms_norm_eps))
    x = blocks.rms_norm(x, w, "model.norm", c.rms_norm_eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias, eps = c.attention_bias, c.rms_norm_eps
    rotate = step.rotation(c.rope)
    q = blocks.linear(x, w, p + "q_proj", heads * hd, bias=bias)
    k = blocks.linear(x, w, p + "k_proj", kv_heads * hd, bias=bias)
    v = blocks.linear(x, w, p + "v_proj", kv_heads * hd, bias=bias)
    q = rotate(blocks.split_heads(blocks.rms_norm(q, w, p + "q_norm", eps), heads))
    k = rotate(blocks.split_heads(blocks.rms_norm(k, w, p + "k_norm", eps), kv_heads))
    v = blocks.split_value_heads(v, kv_heads)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
