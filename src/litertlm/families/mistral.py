"""Mistral 7B: Llama without biases, with one sliding window for all layers.

Side by side with transformers/models/mistral/modeling_mistral.py; same tensor names.
"""

from __future__ import annotations

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


def read_config(c: ConfigReader) -> DecoderConfig:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(sliding_window=4096, num_key_value_heads=8, max_position_embeddings=131072)
    if c.has("layer_types"):
        raise c.unsupported("layer_types", "is set, but a Mistral has one window for all layers")
    common = read_decoder(c)
    return DecoderConfig(
        **common,
        windows=(c.optional_size("sliding_window"),) * common["num_hidden_layers"],
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: DecoderConfig) -> None:
    """MistralForCausalLM: embeddings, layers, norm, head."""
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


def _attention(step: Step, w: Weights, c: DecoderConfig, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
