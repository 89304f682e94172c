"""GLM-4-0414 (9B, 32B): GLM with norms before and after attention and MLP.

Side by side with transformers/models/glm4/modeling_glm4.py; same tensor names.
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
    """The keys that are GLM-4's own."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=2,
        head_dim=128,
        rms_norm_eps=1.5625e-07,
        max_position_embeddings=131072,
        partial_rotary_factor=0.5,
    )
    common = read_decoder(c)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias", True),
        rope=read_rope(c, common["head_dim"], partial=True),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Glm4ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        y = _attention(step, w, c, i, y)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_self_attn_layernorm", eps))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        y = blocks.fused_mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_mlp_layernorm", eps))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(
        x,
        w,
        p,
        heads,
        kv_heads,
        hd,
        bias=c.attention_bias,
        interleaved=c.rope.rotary_dim,
    )
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
