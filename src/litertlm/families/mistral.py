"""Mistral: Llama without biases, with one sliding window for all layers.

Side by side with transformers/models/mistral/modeling_mistral.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from litertlm.families import blocks, stacks
from litertlm.families.blocks import Step, Weights
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope
from litertlm.graph import Tensor


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Mistral's own."""

    sliding_window: int | None


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel, naming the key, for what cannot be done right."""
    c = c.defaulting(sliding_window=4096, num_key_value_heads=8, max_position_embeddings=131072)
    if c.has("layer_types"):
        raise c.refuse("layer_types", "is set, but a Mistral has one window for all layers")
    common = read_decoder(c)
    return Config(
        **common,
        sliding_window=c.optional_size("sliding_window"),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """MistralForCausalLM: embeddings, layers, norm, head."""
    stacks.pre_norm(step, w, c, partial(_attention, step, w, c))


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd)
    window = c.sliding_window
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5, window=window)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
