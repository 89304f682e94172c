"""Gemma 2 (2B, 9B): norms around attention and MLP, capped scores and logits, two layer types.

Side by side with transformers/models/gemma2/modeling_gemma2.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, layer_windows, read_decoder
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Gemma 2's own."""

    attention_bias: bool
    query_pre_attn_scalar: int
    attn_logit_softcapping: float | None
    final_logit_softcapping: float | None


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=4,
        head_dim=256,
        max_position_embeddings=8192,
        hidden_activation="gelu_pytorch_tanh",
        tie_word_embeddings=True,
        query_pre_attn_scalar=256,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        sliding_window=4096,
    )
    if c.flag("use_bidirectional_attention"):
        raise c.unsupported("use_bidirectional_attention", "is true; only causal models can be run")
    common = read_decoder(c, activation="hidden_activation")
    sliding = [i % 2 == 0 for i in range(common["num_hidden_layers"])]
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        query_pre_attn_scalar=c.size("query_pre_attn_scalar", 256),
        attn_logit_softcapping=c.optional_positive("attn_logit_softcapping"),
        final_logit_softcapping=c.optional_positive("final_logit_softcapping"),
        windows=layer_windows(c, c.optional_size("sliding_window"), sliding),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Gemma2ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.hidden_size**0.5)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = _norm(x, w, p + "input_layernorm", eps)
        y = _attention(step, w, c, i, y)
        x = ops.add(x, _norm(y, w, p + "post_attention_layernorm", eps))
        y = _norm(x, w, p + "pre_feedforward_layernorm", eps)
        y = blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act)
        x = ops.add(x, _norm(y, w, p + "post_feedforward_layernorm", eps))
    x = _norm(x, w, "model.norm", eps)
    softcap = c.final_logit_softcapping
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, softcap=softcap)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    y = blocks.attention(
        step,
        layer,
        rotate(q),
        rotate(k),
        v,
        scale=c.query_pre_attn_scalar**-0.5,
        softcap=c.attn_logit_softcapping,
    )
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _norm(x: Tensor, w: Weights, name: str, eps: float) -> Tensor:
    """RMSNorm; the weight is stored as its difference from 1."""
    return blocks.rms_norm(x, w, name, eps, weight_offset=1.0)
