"""Apertus (8B, 70B): Llama with norms of queries and keys, and an MLP of xIELU without a gate.

Side by side with transformers/models/apertus/modeling_apertus.py; same tensor names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import DecoderConfig, read_decoder
from litertlm.families.rope import read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops

_Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]

XIELU = "xielu"
# What ApertusConfig has where a config has no rotation.
_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 12000000.0,
    "factor": 8.0,
    "original_max_position_embeddings": 8192,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Apertus' own; `hidden_act` may be `xielu`."""

    attention_bias: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(hidden_act=XIELU, rms_norm_eps=1e-5, max_position_embeddings=65536)
    xielu = c.get("hidden_act") == XIELU
    common = read_decoder(c.with_values(hidden_act="silu") if xielu else c)
    if not c.mapping("rope_scaling") and not c.has("rope_parameters"):
        c = c.with_values(rope_parameters=_ROPE)
    return Config(
        **{**common, "hidden_act": XIELU if xielu else common["hidden_act"]},
        attention_bias=c.flag("attention_bias"),
        rope=read_rope(c, common["head_dim"], theta=12000000.0),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """ApertusForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "attention_layernorm", eps)
        x = ops.add(x, _attention(step, w, c, i, y))
        y = blocks.rms_norm(x, w, p + "feedforward_layernorm", eps)
        x = ops.add(x, _mlp(w, c, p + "mlp", y))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    bias = c.attention_bias
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=bias)
    q = rotate(blocks.rms_norm(q, w, p + "q_norm", c.rms_norm_eps))
    k = rotate(blocks.rms_norm(k, w, p + "k_norm", c.rms_norm_eps))
    y = blocks.attention(step, layer, q, k, v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size, bias=bias)


def _mlp(w: Weights, c: Config, name: str, x: Tensor) -> Tensor:
    y = blocks.linear(x, w, f"{name}.up_proj", c.intermediate_size)
    y = (
        _xielu(y, w, f"{name}.act_fn")
        if c.hidden_act == XIELU
        else blocks.ACTIVATIONS[c.hidden_act](y)
    )
    return blocks.linear(y, w, f"{name}.down_proj", c.hidden_size)


def _xielu(x: Tensor, w: Weights, name: str) -> Tensor:
    """xIELU (Huang and Schlag 2024), with the parameters of the module `name`."""

    def parameter(part: str, shape: tuple[int, ...], transform: _Transform) -> Tensor:
        return x.graph.constant(w.transformed(f"{name}.{part}", shape, (1,), transform))

    alpha_p = parameter("alpha_p", (1,), _softplus)
    alpha_n = parameter("alpha_n", (1,), _softplus)
    beta, eps = parameter("beta", (), _as_stored), parameter("eps", (), _as_stored)
    positive = ops.greater(x, 0.0)
    bent = ops.sub(ops.exp(ops.minimum(x, eps)), 1.0)
    above = ops.mul(ops.square(x), alpha_p)
    below = ops.mul(ops.sub(bent, x), alpha_n)
    # The paper has (alpha_n + beta) * (bent - x) + beta * x below 0, which is the same.
    straight = ops.mul(ops.select(positive, x, bent), beta)
    return ops.add(ops.select(positive, above, below), straight)


def _softplus(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.logaddexp(x, np.float32(0.0)), np.float32)


def _as_stored(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x
