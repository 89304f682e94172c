"""Nemotron-Mini 4B and Minitron: LayerNorms, half of a head rotated, squared ReLU without a gate.

Side by side with transformers/models/nemotron/modeling_nemotron.py; same tensor names.
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
    """The keys that are Nemotron's own; `rms_norm_eps` is `norm_eps`."""

    attention_bias: bool
    mlp_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(hidden_act="relu2", max_position_embeddings=4096, partial_rotary_factor=0.5)
    c.size("num_key_value_heads")  # without a default, unlike in other families
    common = read_decoder(c.with_values(rms_norm_eps=c.positive("norm_eps", 1e-5)))
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        mlp_bias=c.flag("mlp_bias"),
        rope=read_rope(c, common["head_dim"], partial=True),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """NemotronForCausalLM: embeddings, layers, norm, head."""
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = _norm(x, w, c, p + "input_layernorm")
        x = ops.add(x, _attention(step, w, c, i, y))
        y = _norm(x, w, c, p + "post_attention_layernorm")
        x = ops.add(x, _mlp(w, c, p + "mlp", y))
    x = _norm(x, w, c, "model.norm")
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _norm(x: Tensor, w: Weights, c: Config, name: str) -> Tensor:
    """LayerNorm; the weight is stored as its difference from 1."""
    return blocks.layer_norm(x, w, name, c.rms_norm_eps, bias=True, weight_offset=1.0)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _mlp(w: Weights, c: Config, name: str, x: Tensor) -> Tensor:
    up, down = f"{name}.up_proj", f"{name}.down_proj"
    width, act = c.intermediate_size, c.hidden_act
    return blocks.plain_mlp(x, w, up, down, width, act, bias=c.mlp_bias)
