"""OLMo 3 (7B, 32B): OLMo 2 with sliding windows; only layers without one stretch their rotation.

Side by side with transformers/models/olmo3/modeling_olmo3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

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

_THETA = 500000.0


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are OLMo 3's own.

    Attributes:
        rope: of layers with full attention.
        local_rope: of layers with a window.
    """

    attention_bias: bool
    local_rope: Rope


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(rms_norm_eps=1e-5, sliding_window=4096)
    common = read_decoder(c)
    sliding = [(i + 1) % 4 != 0 for i in range(common["num_hidden_layers"])]
    rope, local_rope = _ropes(c, common["head_dim"])
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        windows=layer_windows(c, c.optional_size("sliding_window"), sliding),
        rope=rope,
        local_rope=local_rope,
    )


def _ropes(c: ConfigReader, head_dim: int) -> tuple[Rope, Rope]:
    """For layers with full attention and for those with a window.

    `rope_theta` and `rope_scaling` are those of full attention. Layers with a window have
    transformers' default for theta, unless `rope_parameters` gives one.
    """
    parameters = c.section("rope_parameters")
    for kind, value in parameters.values.items():
        # transformers reads the types of layers only.
        if kind not in (FULL, SLIDING) and value not in (None, "default"):
            raise c.unsupported("rope_parameters", f"has {kind!r}, which is no type of layer")
    scaling = c.section("rope_scaling")
    if scaling.has("type") and not scaling.has("rope_type"):
        raise scaling.unsupported("type", "is set, but an OLMo 3 has its rope_type")
    full, local = parameters.section(FULL), parameters.section(SLIDING)
    full = full.with_values(**scaling.values)
    full = full.with_defaults(rope_theta=c.positive("rope_theta", _THETA))
    local = local.with_defaults(rope_theta=_THETA)
    return (
        read_rope(c, head_dim, scaling=full, by_layer=True),
        read_rope(c, head_dim, scaling=local, by_layer=True),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Olmo3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = _attention(step, w, c, i, x)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_attention_layernorm", eps))
        y = blocks.mlp(x, w, p + "mlp", c.intermediate_size, c.hidden_act)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_feedforward_layernorm", eps))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias, eps, window = c.attention_bias, c.rms_norm_eps, c.windows[layer]
    rotate = step.rotation(c.rope if window is None else c.local_rope)
    q = blocks.linear(x, w, p + "q_proj", heads * hd, bias=bias)
    k = blocks.linear(x, w, p + "k_proj", kv_heads * hd, bias=bias)
    v = blocks.linear(x, w, p + "v_proj", kv_heads * hd, bias=bias)
    q = rotate(blocks.split_heads(blocks.rms_norm(q, w, p + "q_norm", eps), heads))
    k = rotate(blocks.split_heads(blocks.rms_norm(k, w, p + "k_norm", eps), kv_heads))
    v = blocks.split_value_heads(v, kv_heads)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
