"""SmolLM3 3B: Llama where some layers have no positions (NoPE), and optional windows.

Side by side with transformers/models/smollm3/modeling_smollm3.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import (
    DecoderConfig,
    layer_windows,
    read_decoder,
    switched_window,
)
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are SmolLM3's own.

    Attributes:
        rotated: for each layer whether it has rotary positions (`no_rope_layers`, where 1 means
            that it has).
    """

    attention_bias: bool
    mlp_bias: bool
    rotated: tuple[bool, ...]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=4, tie_word_embeddings=True, max_position_embeddings=32768
    )
    common = read_decoder(c)
    layers = common["num_hidden_layers"]
    interval = c.size("no_rope_layer_interval", 4)
    rotated = c.enum_list("no_rope_layers", (0, 1), layers)
    if rotated is None:
        rotated = tuple((i + 1) % interval != 0 for i in range(layers))
    window = switched_window(c)
    # Where layer_types is not given, the layers without positions are those with windows.
    return Config(
        **common,
        attention_bias=c.flag("attention_bias"),
        mlp_bias=c.flag("mlp_bias"),
        rotated=tuple(map(bool, rotated)),
        windows=layer_windows(c, window, [window is not None and not r for r in rotated]),
        rope=read_rope(c, common["head_dim"], theta=2000000.0),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """SmolLM3ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", eps)
        y = blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act, bias=c.mlp_bias)
        x = ops.add(x, y)
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    if c.rotated[layer]:
        rotate = step.rotation(c.rope)
        q, k = rotate(q), rotate(k)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)
