"""LFM3 (1.7B): LFM2 with windows, gates on heads, norms after attention, convolution and MLP.

Side by side with transformers/models/lfm3/modeling_lfm3.py; same tensor names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import FULL, SLIDING, DecoderConfig, read_decoder
from litertlm.families.lfm2 import CONV, read_taps
from litertlm.families.rope import Rope, read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops
from litertlm.graph.state import KVCache, LayerStates

# What Lfm3Config has where a config has no rotations.
_ROPES = {
    FULL: {"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.5},
    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
}


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are LFM3's own.

    Attributes:
        layer_types: `full_attention`, `sliding_attention` or `conv`.
        conv_L_cache: taps of a convolution.
        rope: the rotation that limits the context.
        ropes: by the type of a layer with attention.
        use_sandwich_norm: norms after attention, convolution and MLP, too.
        use_attention_gate: each head's output is scaled by a gate.
    """

    attention_bias: bool
    conv_bias: bool
    conv_L_cache: int
    layer_types: tuple[str, ...]
    ropes: dict[str, Rope]
    use_sandwich_norm: bool
    use_attention_gate: bool

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer; that of a convolution has its inputs as keys."""
        heads, hd = self.num_key_value_heads, self.head_dim
        inputs = KVCache(1, self.hidden_size, value_dim=1)
        return [
            (inputs if kind == CONV else KVCache(heads, hd, window),)
            for kind, window in zip(self.layer_types, self.windows, strict=True)
        ]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=4,
        head_dim=128,
        max_position_embeddings=128000,
        tie_word_embeddings=True,
        sliding_window=256,
    )
    eps = c.positive("norm_eps", c.positive("rms_norm_eps", 1e-5))  # transformers reads both names
    if eps != c.positive("rms_norm_eps", eps):
        raise c.unsupported("rms_norm_eps", f"is there beside a norm_eps of {eps}")
    common = read_decoder(c.with_values(rms_norm_eps=eps), activation=None)
    types = _layer_types(c, common["num_hidden_layers"])
    window = c.optional_size("sliding_window")
    if window is None and SLIDING in types:
        raise c.unsupported("sliding_window", "is missing, but layers have windows")
    ropes = _ropes(c, common["head_dim"], types)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        conv_bias=c.flag("conv_bias"),
        conv_L_cache=read_taps(c, 7),
        layer_types=types,
        windows=tuple(window if kind == SLIDING else None for kind in types),
        rope=min(ropes.values(), key=lambda rope: rope.max_positions or math.inf),
        ropes=ropes,
        use_sandwich_norm=c.flag("use_sandwich_norm", True),
        use_attention_gate=c.flag("use_attention_gate", True),
    )


def _layer_types(c: ConfigReader, layers: int) -> tuple[str, ...]:
    types = c.enum_list("layer_types", (FULL, SLIDING, CONV), layers)
    if types is None:
        period = (SLIDING, CONV, FULL, CONV)
        types = tuple(period[i % 4] if i else CONV for i in range(layers))
    if set(types) == {CONV}:
        raise c.unsupported("layer_types", "leaves no layer with attention")
    return types


def _ropes(c: ConfigReader, head_dim: int, types: tuple[str, ...]) -> dict[str, Rope]:
    """By the type of a layer with attention."""
    if c.has("rope_scaling"):
        raise c.unsupported("rope_scaling", "is set, but an LFM3 has rope_parameters")
    if not c.has("rope_parameters"):
        c = c.with_values(rope_parameters=_ROPES)
    parameters, ropes = c.section("rope_parameters"), {}
    for kind in (FULL, SLIDING):
        if kind in types:
            if not parameters.mapping(kind):
                raise parameters.unsupported(kind, "is missing, and layers have this type")
            scaling = parameters.section(kind)
            ropes[kind] = read_rope(c, head_dim, scaling=scaling, theta=1000000.0, by_layer=True)
    return ropes


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Lfm3ForCausalLM: embeddings, layers, norm, head."""
    eps, taps = c.rms_norm_eps, c.conv_L_cache
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i, kind in enumerate(c.layer_types):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "operator_norm", eps)
        if kind == CONV:
            y = blocks.short_convolution(step, i, y, w, p + "conv", taps, bias=c.conv_bias)
        else:
            y = _attention(step, w, c, i, y)
        x = ops.add(x, _post_norm(y, w, c, p + "post_operator_norm"))
        y = blocks.rms_norm(x, w, p + "ffn_norm", eps)
        y = blocks.mlp(
            y, w, p + "feed_forward", c.intermediate_size, c.hidden_act, modules=("w1", "w3", "w2")
        )
        x = ops.add(x, _post_norm(y, w, c, p + "post_ffn_norm"))
    x = blocks.rms_norm(x, w, "model.embedding_norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _post_norm(x: Tensor, w: Weights, c: Config, name: str) -> Tensor:
    return blocks.rms_norm(x, w, name, c.rms_norm_eps) if c.use_sandwich_norm else x


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias, s = c.attention_bias, step.signature.tokens
    rotate = step.rotation(c.ropes[c.layer_types[layer]])
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    q = rotate(blocks.rms_norm(q, w, p + "q_norm", c.rms_norm_eps))
    k = rotate(blocks.rms_norm(k, w, p + "k_norm", c.rms_norm_eps))
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    if c.use_attention_gate:
        gates = ops.logistic(blocks.linear(x, w, p + "g_proj", heads))
        y = ops.mul(ops.reshape(y, (1, s, heads, hd)), ops.reshape(gates, (1, s, heads, 1)))
        y = ops.reshape(y, (1, s, heads * hd))
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
