"""OLMo 1 (1B, 7B): Llama with LayerNorms that have no weights, and optional limits on q, k and v.

Side by side with transformers/models/olmo/modeling_olmo.py; same tensor names.
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

_EPS = 1e-5  # fixed in OlmoLayerNorm


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are OLMo's own.

    Attributes:
        clip_qkv: the largest absolute value of queries, keys and values; None for no limit.
    """

    attention_bias: bool
    clip_qkv: float | None


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    common = read_decoder(c)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        clip_qkv=c.optional_positive("clip_qkv"),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """OlmoForCausalLM: embeddings, layers, norm, head."""
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        x = ops.add(x, _attention(step, w, c, i, _norm(x)))
        x = ops.add(x, blocks.mlp(_norm(x), w, p + "mlp", c.intermediate_size, c.hidden_act))
    blocks.head(step, _norm(x), w, c.vocab_size, tied=c.tie_word_embeddings)


def _norm(x: Tensor) -> Tensor:
    return ops.layer_norm(x, None, None, _EPS)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    q, k, v = (_clip(y, c.clip_qkv) for y in (q, k, v))
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _clip(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else ops.minimum(ops.maximum(x, -limit), limit)
