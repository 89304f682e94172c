"""MiniCPM3 4B: multi-head latent attention, and multipliers of embeddings, residuals and logits.

Side by side with transformers/models/minicpm3/modeling_minicpm3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope, rope_parameters
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops, table
from litertlm.graph.state import KVCache, LayerStates

_LATENT_EPS = 1e-6  # of the norms of latents, whatever `rms_norm_eps` is


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are MiniCPM3's own.

    Attributes:
        head_dim: of queries and keys: a part without positions, then a part with them.
        q_lora_rank: width of the latent of queries; None where they have no latent.
        kv_lora_rank: width of the latent of keys and values.
    """

    attention_bias: bool
    mlp_bias: bool
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    scale_emb: float
    residual_scale: float
    logits_scale: float

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer, of keys and values and not of their latents: longer, but no
        product over the complete cache is needed to expand it."""
        cache = KVCache(self.num_attention_heads, self.head_dim, value_dim=self.v_head_dim)
        return [(cache,)] * self.num_hidden_layers


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    for key in ("scale_emb", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim"):
        if key in c.values and not c.has(key):
            raise c.unsupported(key, "is null")
    if "logits_scaling" in c.values:  # MiniCPM3Config computes it, and accepts no value
        raise c.unsupported("logits_scaling", "is set, but follows from dim_model_base")
    c = c.with_defaults(
        num_key_value_heads=40,
        q_lora_rank=768,
        scale_depth=1.4,
        dim_model_base=256,
        rms_norm_eps=1e-5,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
    )
    nope, rotated = c.size("qk_nope_head_dim", 64), c.size("qk_rope_head_dim", 32)
    common = read_decoder(c.with_values(head_dim=nope + rotated))
    hidden, heads, layers = (
        common[key] for key in ("hidden_size", "num_attention_heads", "num_hidden_layers")
    )
    if hidden % heads:
        raise c.unsupported("num_attention_heads", f"({heads}) does not divide {hidden}")
    if common["num_key_value_heads"] != heads:
        raise c.unsupported("num_key_value_heads", f"must be the number of heads ({heads})")
    if rope_parameters(c).has("mscale_all_dim"):
        raise c.unsupported("rope_parameters", "has mscale_all_dim, which changes the scores")
    depth = c.number("scale_depth", 0.0) if c.has("scale_depth") else layers**0.5
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        mlp_bias=c.flag("mlp_bias"),
        q_lora_rank=c.optional_size("q_lora_rank"),
        kv_lora_rank=c.size("kv_lora_rank", 256),
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rotated,
        v_head_dim=c.size("v_head_dim", hidden // heads),
        scale_emb=c.number("scale_emb", 12.0),
        residual_scale=depth / layers**0.5,
        logits_scale=c.size("dim_model_base", hidden) / hidden,
        rope=read_rope(c, rotated),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """MiniCPM3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.scale_emb)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, ops.mul(_attention(step, w, c, i, y), c.residual_scale))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        y = blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act, bias=c.mlp_bias)
        x = ops.add(x, ops.mul(y, c.residual_scale))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, scale=c.logits_scale)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, s = c.num_attention_heads, step.signature.tokens
    nope, rotated, rank, vd = c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank, c.v_head_dim
    rotate = step.rotation(c.rope)

    q = blocks.split_heads(_queries(w, c, p, x), heads)
    turned = rotate(ops.slice_axis(q, -1, nope, rotated))
    q = ops.concat([ops.slice_axis(q, -1, 0, nope), turned], -1)

    # All heads share the part of the keys that is rotated.
    bias = c.attention_bias
    latent = blocks.linear(x, w, p + "kv_a_proj_with_mqa", rank + rotated, bias=bias)
    shared = ops.reshape(ops.slice_axis(latent, -1, rank, rotated), (1, 1, s, rotated))
    # Not TILE, which XNNPACK does not compute (tflite/delegate.py).
    each = x.graph.constant(table("each_head", np.ones((1, heads, 1, 1))))
    shared = ops.mul(rotate(shared), each)
    latent = blocks.rms_norm(
        ops.slice_axis(latent, -1, 0, rank), w, p + "kv_a_layernorm", _LATENT_EPS
    )
    kv = blocks.linear(latent, w, p + "kv_b_proj", heads * (nope + vd))
    kv = blocks.split_heads(kv, heads)
    k = ops.concat([ops.slice_axis(kv, -1, 0, nope), shared], -1)
    v = ops.transpose(ops.slice_axis(kv, -1, nope, vd), (0, 1, 3, 2))

    y = blocks.attention(step, layer, q, k, v, scale=c.head_dim**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _queries(w: Weights, c: Config, prefix: str, x: Tensor) -> Tensor:
    """[1, S, N*hd], directly or from a latent."""
    width = c.num_attention_heads * c.head_dim
    if c.q_lora_rank is None:
        return blocks.linear(x, w, prefix + "q_proj", width)
    latent = blocks.linear(x, w, prefix + "q_a_proj", c.q_lora_rank, bias=c.attention_bias)
    latent = blocks.rms_norm(latent, w, prefix + "q_a_layernorm", _LATENT_EPS)
    return blocks.linear(latent, w, prefix + "q_b_proj", width)
