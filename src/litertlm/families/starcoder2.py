"""StarCoder 2 (3B, 7B, 15B): LayerNorms, biases everywhere, an MLP without a gate, one window.

Side by side with transformers/models/starcoder2/modeling_starcoder2.py; same tensor names.
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
    """The keys that are StarCoder 2's own; `rms_norm_eps` is `norm_epsilon`."""

    use_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        hidden_act="gelu_pytorch_tanh",
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    c.size("num_key_value_heads")  # not null, unlike in other families
    if c.has("layer_types"):
        raise c.unsupported(
            "layer_types", "is set, but a StarCoder 2 has one window for all layers"
        )
    common = read_decoder(c.with_values(rms_norm_eps=c.positive("norm_epsilon", 1e-5)))
    return Config(
        **common,
        use_bias=c.flag("use_bias", True),
        windows=(c.optional_size("sliding_window"),) * common["num_hidden_layers"],
        rope=read_rope(c, common["head_dim"]),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Starcoder2ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.layer_norm(x, w, p + "input_layernorm", eps, bias=True)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.layer_norm(x, w, p + "post_attention_layernorm", eps, bias=True)
        x = ops.add(x, _mlp(w, c, p + "mlp", y))
    x = blocks.layer_norm(x, w, "model.norm", eps, bias=True)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=c.use_bias)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=c.use_bias)


def _mlp(w: Weights, c: Config, name: str, x: Tensor) -> Tensor:
    up, down = f"{name}.c_fc", f"{name}.c_proj"
    width, act = c.intermediate_size, c.hidden_act
    return blocks.plain_mlp(x, w, up, down, width, act, bias=c.use_bias)
