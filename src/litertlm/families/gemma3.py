"""Gemma 3 (270M, 1B; the text part of 4B to 27B): two layer types with rotations of their own.

Alone (`gemma3_text`) or inside a multimodal model (`gemma3`). Side by side with
transformers/models/gemma3/modeling_gemma3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import (
    FULL,
    SLIDING,
    DecoderConfig,
    layer_windows,
    read_decoder,
)
from litertlm.families.rope import Rope, read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops

# What Gemma3TextConfig assumes; multimodal checkpoints leave out what is equal to it.
DEFAULTS = {
    "vocab_size": 262208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
}


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Gemma 3's own.

    Attributes:
        rope: of layers with full attention.
        local_rope: of layers with a window.
    """

    attention_bias: bool
    query_pre_attn_scalar: int
    final_logit_softcapping: float | None
    local_rope: Rope


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(**DEFAULTS)
    if c.flag("use_bidirectional_attention"):
        raise c.unsupported("use_bidirectional_attention", "is true; only causal models can be run")
    if c.prefix and c.has("final_logit_softcapping"):
        # Gemma3ForConditionalGeneration does not read it, Gemma3ForCausalLM does.
        raise c.unsupported("final_logit_softcapping", "is set in a multimodal model")
    common = read_decoder(c, activation="hidden_activation")
    layers, hd = common["num_hidden_layers"], common["head_dim"]
    pattern = c.size("sliding_window_pattern", 6)
    sliding = [(i + 1) % pattern != 0 for i in range(layers)]
    rope, local_rope = read_ropes(c, hd)
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        query_pre_attn_scalar=c.size("query_pre_attn_scalar", 256),
        final_logit_softcapping=c.optional_positive("final_logit_softcapping"),
        windows=layer_windows(c, c.size("sliding_window"), sliding),
        rope=rope,
        local_rope=local_rope,
    )


def read_ropes(c: ConfigReader, head_dim: int) -> tuple[Rope, Rope]:
    """For layers with full attention and for those with a window."""
    scaling = c.section("rope_scaling")
    if scaling.has("type") and not scaling.has("rope_type"):
        raise scaling.unsupported("type", "is not read in this config; the key is rope_type")
    if scaling.values and c.has("rope_parameters"):
        raise c.unsupported("rope_scaling", "is there beside rope_parameters")
    if c.has("rope_parameters"):
        for kind, value in c.mapping("rope_parameters").items():
            # transformers writes {"rope_type": "default", "rope_theta": null} beside the types of
            # layers when the model has only one of them, and does not read it.
            if kind not in (FULL, SLIDING) and value not in (None, "default"):
                raise c.unsupported("rope_parameters", f"has {kind!r}, which is no type of layer")
        full, local = (c.section("rope_parameters").section(kind) for kind in (FULL, SLIDING))
    else:
        full = scaling
        local = replace(c, values={}, prefix=f"{c.prefix}rope_parameters.{SLIDING}.")
    full = full.with_defaults(rope_theta=c.positive("rope_theta", 1000000.0))
    local = local.with_defaults(rope_theta=c.positive("rope_local_base_freq", 10000.0))
    return (
        read_rope(c, head_dim, scaling=full, theta=1000000.0, by_layer=True),
        read_rope(c, head_dim, scaling=local, theta=10000.0, by_layer=True),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Gemma3ForCausalLM: embeddings, layers, norm, head."""
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
    bias, eps, window = c.attention_bias, c.rms_norm_eps, c.windows[layer]
    rotate = step.rotation(c.rope if window is None else c.local_rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    q = rotate(_norm(q, w, p + "q_norm", eps))
    k = rotate(_norm(k, w, p + "k_norm", eps))
    scale = c.query_pre_attn_scalar**-0.5
    y = blocks.attention(step, layer, q, k, v, scale=scale)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _norm(x: Tensor, w: Weights, name: str, eps: float) -> Tensor:
    """RMSNorm; the weight is stored as its difference from 1."""
    return blocks.rms_norm(x, w, name, eps, weight_offset=1.0)
