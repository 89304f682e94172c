"""Granite 4.0 without experts and Mamba (350M, 1B, micro): Granite with gate and up fused.

Side by side with transformers' modeling_granitemoehybrid.py; same tensor names.
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

_MLP = ("input_linear", "output_linear")


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Granite 4's own.

    Attributes:
        rotates: whether queries and keys are rotated (`position_embedding_type`).
    """

    attention_bias: bool
    embedding_multiplier: float
    attention_multiplier: float
    residual_multiplier: float
    logits_scaling: float
    rotates: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    experts = c.count("num_local_experts", 8)
    if experts:
        raise c.unsupported("num_local_experts", f"is {experts}; only dense models can be run")
    c.get("intermediate_size")  # only experts would have it
    c = c.with_values(intermediate_size=c.size("shared_intermediate_size", 1024))
    common = read_decoder(c)
    _check_layer_types(c, common["num_hidden_layers"])
    _check_mamba(c, common["hidden_size"])
    if c.flag("output_router_logits"):
        raise c.unsupported("output_router_logits", "is true, but there are no experts")
    positions = c.choice("position_embedding_type", ("rope", "nope"), "nope")
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        embedding_multiplier=c.number("embedding_multiplier", 1.0),
        attention_multiplier=c.number("attention_multiplier", 1.0),
        residual_multiplier=c.number("residual_multiplier", 1.0),
        logits_scaling=c.positive("logits_scaling", 1.0),
        rotates=positions == "rope",
        rope=read_rope(c, common["head_dim"]),
    )


def _check_layer_types(c: ConfigReader, layers: int) -> None:
    """All layers must have attention; the default is a Mamba layer everywhere."""
    key = "layers_block_type" if c.has("layers_block_type") else "layer_types"
    mamba = ("mamba", "linear_attention")
    types = c.enum_list(key, ("attention", FULL, *mamba), layers)
    if types is None:
        raise c.unsupported(key, "is missing, so that all layers are Mamba layers")
    if not set(types).isdisjoint(mamba):
        raise c.unsupported(key, "has Mamba layers; only layers with attention can be run")


def _check_mamba(c: ConfigReader, hidden: int) -> None:
    """Values that transformers checks although no layer uses them."""
    for key in ("mamba_expand", "mamba_n_heads", "mamba_d_head"):
        if key in c.values and not c.has(key):
            raise c.unsupported(key, "is null")
    width, heads = c.size("mamba_expand", 2) * hidden, c.size("mamba_n_heads", 128)
    if width % heads:
        raise c.unsupported("mamba_n_heads", f"({heads}) does not divide {width}")
    if c.get("mamba_d_head") not in (None, "auto") and c.size("mamba_d_head") * heads != width:
        raise c.unsupported("mamba_d_head", f"times {heads} heads is not {width}")
    limit = c.get("time_step_limit")
    if limit is not None and not (isinstance(limit, list) and len(limit) == 2):
        raise c.unsupported("time_step_limit", "must be a list of two numbers")


def decoder(step: Step, w: Weights, c: Config) -> None:
    """GraniteMoeHybridForCausalLM without experts: embeddings, layers, norm, head."""
    eps, residual = c.rms_norm_eps, c.residual_multiplier
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.embedding_multiplier)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, ops.mul(_attention(step, w, c, i, y), residual))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        width, act = c.intermediate_size, c.hidden_act
        y = blocks.fused_mlp(y, w, p + "shared_mlp", width, act, modules=_MLP)
        x = ops.add(x, ops.mul(y, residual))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    scale = 1.0 / c.logits_scaling
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, scale=scale)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    if c.rotates:
        rotate = step.rotation(c.rope)
        q, k = rotate(q), rotate(k)
    y = blocks.attention(step, layer, q, k, v, scale=c.attention_multiplier)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
