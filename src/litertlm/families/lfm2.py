"""LFM2 and LFM2.5 (230M to 2.6B), dense: short convolutions, with attention in some layers.

Side by side with transformers/models/lfm2/modeling_lfm2.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import FULL, DecoderConfig, read_decoder
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops
from litertlm.graph.state import KVCache, LayerStates

CONV = "conv"


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are LFM2's own.

    Attributes:
        layer_types: `full_attention` or `conv`.
        conv_L_cache: taps of a convolution.
    """

    conv_bias: bool
    conv_L_cache: int
    layer_types: tuple[str, ...]

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer; that of a convolution has its inputs as keys."""
        attention = KVCache(self.num_key_value_heads, self.head_dim)
        inputs = KVCache(1, self.hidden_size, value_dim=1)
        return [(inputs if kind == CONV else attention,) for kind in self.layer_types]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=8, max_position_embeddings=128000, tie_word_embeddings=True
    )
    c.size("num_key_value_heads")  # not null, unlike in other families
    if c.has("tie_embedding"):
        c = c.with_values(tie_word_embeddings=c.flag("tie_embedding"))
    c = c.with_values(
        intermediate_size=_intermediate_size(c), rms_norm_eps=c.positive("norm_eps", 1e-5)
    )
    common = read_decoder(c, activation=None)
    return Config(
        **common,
        conv_bias=c.flag("conv_bias"),
        conv_L_cache=read_taps(c, 3),
        layer_types=_layer_types(c, common["num_hidden_layers"]),
        rope=read_rope(c, common["head_dim"], theta=1000000.0),
    )


def read_taps(c: ConfigReader, default: int) -> int:
    """`conv_L_cache`; a convolution of one tap would keep nothing."""
    taps = c.size("conv_L_cache", default, most=64)
    if taps < 2:
        raise c.unsupported("conv_L_cache", f"is {taps}, but must be at least 2")
    return taps


def _intermediate_size(c: ConfigReader) -> int:
    """Width of the MLP: two thirds of the key's value, times a factor, rounded up."""
    size = c.size("block_ff_dim", c.size("intermediate_size", 12288))
    factor = c.positive("block_ffn_dim_multiplier", 1.0)
    multiple = c.size("block_multiple_of", 256)
    if not c.flag("block_auto_adjust_ff_dim", True):
        return size
    return -(-int(factor * int(2 * size / 3)) // multiple) * multiple


def _layer_types(c: ConfigReader, layers: int) -> tuple[str, ...]:
    attention = c.get("full_attn_idxs")  # not used beside layer_types
    if attention is not None and not (
        isinstance(attention, list) and all(type(i) is int for i in attention)
    ):
        raise c.unsupported("full_attn_idxs", "must be a list of numbers of layers")
    types = c.enum_list("layer_types", (FULL, CONV), layers)
    key = "full_attn_idxs" if types is None else "layer_types"
    if types is None:
        if attention is None:
            attention = list(range(layers))
        types = tuple(FULL if i in attention else CONV for i in range(layers))
    if FULL not in types:
        raise c.unsupported(key, "leaves no layer with attention")
    return types


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Lfm2ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i, kind in enumerate(c.layer_types):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "operator_norm", eps)
        if kind == CONV:
            taps, bias = c.conv_L_cache, c.conv_bias
            y = blocks.short_convolution(step, i, y, w, p + "conv", taps, bias=bias)
        else:
            y = _attention(step, w, c, i, y)
        x = ops.add(x, y)
        y = blocks.rms_norm(x, w, p + "ffn_norm", eps)
        y = blocks.mlp(
            y, w, p + "feed_forward", c.intermediate_size, c.hidden_act, modules=("w1", "w3", "w2")
        )
        x = ops.add(x, y)
    x = blocks.rms_norm(x, w, "model.embedding_norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd)
    q = rotate(blocks.rms_norm(q, w, p + "q_layernorm", c.rms_norm_eps))
    k = rotate(blocks.rms_norm(k, w, p + "k_layernorm", c.rms_norm_eps))
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "out_proj", c.hidden_size)
