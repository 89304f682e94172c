"""EXAONE 4.0 (1.2B, 32B): norms after attention and MLP, windows; global layers without positions.

Side by side with transformers/models/exaone4/modeling_exaone4.py; same tensor names.
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
    """The keys that are EXAONE 4's own.

    Attributes:
        rotated: for each layer whether it has rotary positions.
    """

    rotated: tuple[bool, ...]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=32, rms_norm_eps=1e-5, sliding_window=4096, sliding_window_pattern=4
    )
    common = read_decoder(c)
    layers, window = common["num_hidden_layers"], c.optional_size("sliding_window")
    sliding = [False] * layers
    c.get("sliding_window_pattern")  # a text in published configs, beside layer_types
    if not c.has("layer_types"):
        if window is None:
            raise c.unsupported("layer_types", "is missing, and there is no sliding_window")
        pattern = c.size("sliding_window_pattern")
        sliding = [(i + 1) % pattern != 0 for i in range(layers)]
    windows = layer_windows(c, window, sliding)
    return Config(
        **common,
        # A model without any window rotates in all layers.
        rotated=tuple(window is None or w is not None for w in windows),
        windows=windows,
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Exaone4ForCausalLM: embeddings, layers, norm, head."""
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
    eps = c.rms_norm_eps
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd)
    q, k = blocks.rms_norm(q, w, p + "q_norm", eps), blocks.rms_norm(k, w, p + "k_norm", eps)
    if c.rotated[layer]:
        rotate = step.rotation(c.rope)
        q, k = rotate(q), rotate(k)
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)
