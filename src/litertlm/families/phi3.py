"""Phi-3, Phi-3.5 mini and Phi-4 mini: Llama with fused projections and partial rotation.

Side by side with transformers/models/phi3/modeling_phi3.py; same tensor names.
"""

from __future__ import annotations

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope, rope_parameters
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


def read_config(c: ConfigReader) -> DecoderConfig:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        rms_norm_eps=1e-5, max_position_embeddings=4096, original_max_position_embeddings=4096
    )
    common = read_decoder(c)
    scaling = rope_parameters(c)
    key = "rope_type" if scaling.has("rope_type") else "type"
    kind = scaling.get(key)
    if kind in ("su", "yarn"):  # old names
        scaling = scaling.with_values(rope_type="longrope")
    elif kind not in (None, "default", "longrope"):  # as in Phi3Config
        raise scaling.unsupported(key, f"is {kind!r}; known are default, longrope")
    return DecoderConfig(
        **common,
        windows=(c.optional_size("sliding_window"),) * common["num_hidden_layers"],
        rope=read_rope(c, common["head_dim"], scaling=scaling, partial=True),
    )


def decoder(step: Step, w: Weights, c: DecoderConfig) -> None:
    """Phi3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        x = ops.add(x, blocks.fused_mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: DecoderConfig, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    qkv = blocks.linear(x, w, p + "qkv_proj", (heads + 2 * kv_heads) * hd)
    q = blocks.split_heads(ops.slice_axis(qkv, -1, 0, heads * hd), heads)
    k = blocks.split_heads(ops.slice_axis(qkv, -1, heads * hd, kv_heads * hd), kv_heads)
    v = ops.slice_axis(qkv, -1, (heads + kv_heads) * hd, kv_heads * hd)
    v = blocks.split_value_heads(v, kv_heads)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
