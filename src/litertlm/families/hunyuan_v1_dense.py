"""Hunyuan dense (0.5B to 7B): norms of queries and keys after the rotation, NTK scaling by alpha.

Side by side with transformers/models/hunyuan_v1_dense/modeling_hunyuan_v1_dense.py; same tensor
names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import Rope, read_rope, rope_parameters
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Hunyuan's own."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(rms_norm_eps=1e-5)
    c.size("head_dim")  # not computed from others
    common = read_decoder(c)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        rope=_rope(c, common["head_dim"]),
    )


def _rope(c: ConfigReader, head_dim: int) -> Rope:
    """The type `dynamic` with an `alpha` has a larger base, whatever the length of the text."""
    scaling = rope_parameters(c)
    type_key = "rope_type" if scaling.has("rope_type") else "type"
    if scaling.values.get(type_key) != "dynamic" or not scaling.number("alpha", 0.0):
        return read_rope(c, head_dim, scaling=scaling)
    if head_dim <= 2:
        raise c.unsupported("head_dim", f"is {head_dim}, too small for rope alpha")
    theta = scaling.positive("rope_theta", c.positive("rope_theta", 10000.0))
    theta *= scaling.positive("alpha", 1.0) ** (head_dim / (head_dim - 2))
    base = ConfigReader({"rope_type": "default", "rope_theta": theta}, scaling.prefix)
    return read_rope(c, head_dim, scaling=base)


def decoder(step: Step, w: Weights, c: Config) -> None:
    """HunYuanDenseV1ForCausalLM: embeddings, layers, norm, head."""
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
    q = blocks.rms_norm(rotate(q), w, p + "query_layernorm", eps)
    k = blocks.rms_norm(rotate(k), w, p + "key_layernorm", eps)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
