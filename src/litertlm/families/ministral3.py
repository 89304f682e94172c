"""Ministral 3 (3B to 14B, text): Mistral with YaRN; queries grow with the log of the position.

Alone (`ministral3`) or inside a multimodal model (`mistral3`). Side by side with
transformers/models/ministral3/modeling_ministral3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope, rope_parameters
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops

_ORIGINAL = "original_max_position_embeddings"
# What Ministral3Config has where a config has no rotation.
_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 1000000.0,
    "factor": 16.0,
    _ORIGINAL: 16384,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale_all_dim": 1.0,
    "mscale": 1.0,
    "llama_4_scaling_beta": 0.1,
}


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Ministral 3's own.

    Attributes:
        llama_4_scaling_beta: how fast the scale of queries grows.
        original_max_position_embeddings: the scale grows with every so many positions.
    """

    llama_4_scaling_beta: float
    original_max_position_embeddings: int


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=8, head_dim=128, rms_norm_eps=1e-5, max_position_embeddings=262144
    )
    if c.has("layer_types"):
        raise c.unsupported(
            "layer_types", "is set, but a Ministral 3 has one window for all layers"
        )
    common = read_decoder(c)
    if not c.mapping("rope_scaling") and not c.has("rope_parameters"):
        c = c.with_values(rope_parameters=_ROPE)
    scaling = rope_parameters(c)
    rope = read_rope(c, common["head_dim"], scaling=scaling)
    if not scaling.has("llama_4_scaling_beta"):
        raise scaling.unsupported("llama_4_scaling_beta", "is missing")
    kind = scaling.values.get("rope_type", scaling.values.get("type"))
    if kind in ("llama3", "yarn", "longrope"):
        # A value beside the rotation's comes before it, as in `read_rope`.
        original = scaling.size(_ORIGINAL, common["max_position_embeddings"])
        original = c.size(_ORIGINAL, original)
    elif scaling.has(_ORIGINAL):
        original = scaling.size(_ORIGINAL)
    else:
        raise scaling.unsupported(_ORIGINAL, "is missing")
    return Config(
        **common,
        llama_4_scaling_beta=scaling.number("llama_4_scaling_beta", 0.0),
        original_max_position_embeddings=original,
        windows=(c.optional_size("sliding_window"),) * common["num_hidden_layers"],
        rope=rope,
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Ministral3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    growth = _query_scale(step, c)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y, growth))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        x = ops.add(x, blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _query_scale(step: Step, c: Config) -> Tensor:
    """1 + beta * log(1 + floor(position / original)) of each token: [1, 1, S, 1]."""
    # Half a position more: a rounded quotient of whole numbers could lie below the next one.
    positions = ops.add(ops.cast_float(step.positions), 0.5)
    steps = ops.floor(ops.mul(positions, 1.0 / c.original_max_position_embeddings))
    scale = ops.add(ops.mul(ops.log(ops.add(steps, 1.0)), c.llama_4_scaling_beta), 1.0)
    return ops.reshape(scale, (1, 1, step.signature.tokens, 1))


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor, growth: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd)
    q = ops.mul(rotate(q), growth)
    y = blocks.attention(step, layer, q, rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
