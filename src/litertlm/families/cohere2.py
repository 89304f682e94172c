"""Command R7B and Command A: attention and MLP in parallel after one LayerNorm, windows, NoPE.

Side by side with transformers/models/cohere2/modeling_cohere2.py; same tensor names.
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
    """The keys that are Cohere 2's own."""

    attention_bias: bool
    layer_norm_eps: float
    logit_scale: float


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        sliding_window=4096,
        sliding_window_pattern=4,
    )
    common = read_decoder(c)
    layers, sliding = common["num_hidden_layers"], []
    c.get("sliding_window_pattern")  # not used beside layer_types
    if not c.has("layer_types"):
        pattern = c.size("sliding_window_pattern")
        sliding = [(i + 1) % pattern != 0 for i in range(layers)]
    window = c.optional_size("sliding_window")
    if window is None and any(sliding):
        raise c.unsupported("sliding_window", "is missing, but layers have windows")
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        layer_norm_eps=c.positive("layer_norm_eps", 1e-5),
        logit_scale=c.number("logit_scale", 0.0625),
        windows=layer_windows(c, window, sliding or [False] * layers),
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Cohere2ForCausalLM: embeddings, layers, norm, head."""
    eps = c.layer_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.layer_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        x = ops.add(x, blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = blocks.layer_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, scale=c.logit_scale)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias, interleaved=hd)
    if c.windows[layer] is not None:
        rotate = step.rotation(c.rope)
        q, k = rotate(q), rotate(k)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
