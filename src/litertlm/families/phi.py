"""Phi-1, Phi-1.5 and Phi-2: attention and MLP in parallel after one LayerNorm, biases everywhere.

Side by side with transformers/models/phi/modeling_phi.py; same tensor names.
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
    """The keys that are Phi's own; `rms_norm_eps` is `layer_norm_eps`."""

    qk_layernorm: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(hidden_act="gelu_new", partial_rotary_factor=0.5)
    common = read_decoder(c.with_values(rms_norm_eps=c.positive("layer_norm_eps", 1e-5)))
    qk_layernorm, heads = c.flag("qk_layernorm"), common["num_attention_heads"]
    if qk_layernorm and common["head_dim"] != common["hidden_size"] // heads:
        raise c.unsupported("qk_layernorm", "is set, and head_dim is not that of its norms")
    return Config(
        **common,
        qk_layernorm=qk_layernorm,
        rope=read_rope(c, common["head_dim"], partial=True, proportional=False),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """PhiForCausalLM: embeddings, layers, norm, head."""
    eps, act = c.rms_norm_eps, c.hidden_act
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.layer_norm(x, w, p + "input_layernorm", eps, bias=True)
        x = ops.add(x, _attention(step, w, c, i, y))
        up, down = p + "mlp.fc1", p + "mlp.fc2"
        x = ops.add(x, blocks.plain_mlp(y, w, up, down, c.intermediate_size, act, bias=True))
    x = blocks.layer_norm(x, w, "model.final_layernorm", eps, bias=True)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, bias=True)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=True)
    if c.qk_layernorm:
        q = blocks.layer_norm(q, w, p + "q_layernorm", c.rms_norm_eps, bias=True)
        k = blocks.layer_norm(k, w, p + "k_layernorm", c.rms_norm_eps, bias=True)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "dense", c.hidden_size, bias=True)
