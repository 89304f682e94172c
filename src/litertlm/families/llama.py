"""Llama and the models that share its decoder (SmolLM2, TinyLlama, Llama 2 and 3.x).

Side by side with transformers/models/llama/modeling_llama.py; same tensor names.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks
from litertlm.families.blocks import CacheShape, Step, Weights
from litertlm.families.config import ConfigReader
from litertlm.families.rope import Rope, read_rope
from litertlm.graph import Tensor, ops


@dataclass(frozen=True)
class Config:
    """The keys of config.json that shape the decoder, under their own names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    hidden_act: str
    attention_bias: bool
    mlp_bias: bool
    tie_word_embeddings: bool
    rope: Rope

    @property
    def caches(self) -> list[CacheShape]:
        """The KV cache of each layer."""
        return [CacheShape(self.num_key_value_heads, self.head_dim)] * self.num_hidden_layers


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel, naming the key, for what cannot be done right."""
    hidden, heads = c.size("hidden_size"), c.size("num_attention_heads")
    kv_heads = c.size("num_key_value_heads", heads)
    if heads % kv_heads:
        raise c.refuse("num_key_value_heads", f"({kv_heads}) does not divide {heads} heads")
    if not c.has("head_dim") and hidden % heads:
        raise c.refuse("num_attention_heads", f"({heads}) does not divide {hidden}")
    head_dim = c.size("head_dim", hidden // heads)
    return Config(
        vocab_size=c.size("vocab_size"),
        hidden_size=hidden,
        intermediate_size=c.size("intermediate_size"),
        num_hidden_layers=c.size("num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=c.size("max_position_embeddings", 2048),
        rms_norm_eps=c.number("rms_norm_eps", 1e-6),
        hidden_act=c.choice("hidden_act", tuple(blocks.ACTIVATIONS), "silu"),
        attention_bias=c.flag("attention_bias"),
        mlp_bias=c.flag("mlp_bias"),
        tie_word_embeddings=c.flag("tie_word_embeddings"),
        rope=read_rope(c, head_dim),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """LlamaForCausalLM: embeddings, layers, norm, head."""
    x = blocks.embed(step, w.get("model.embed_tokens.weight", c.vocab_size, c.hidden_size))
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        norm = w.get(p + "input_layernorm.weight", c.hidden_size)
        x = ops.add(x, _attention(step, w, c, i, blocks.rms_norm(x, norm, c.rms_norm_eps)))
        norm = w.get(p + "post_attention_layernorm.weight", c.hidden_size)
        x = ops.add(x, _mlp(w, c, p + "mlp.", blocks.rms_norm(x, norm, c.rms_norm_eps)))
    x = blocks.rms_norm(x, w.get("model.norm.weight", c.hidden_size), c.rms_norm_eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    hd, n, k = c.head_dim, c.num_attention_heads, c.num_key_value_heads
    rotate = step.rotation(c.rope)
    queries = blocks.linear(x, w, p + "q_proj", n * hd, bias=c.attention_bias)
    keys = blocks.linear(x, w, p + "k_proj", k * hd, bias=c.attention_bias)
    values = blocks.linear(x, w, p + "v_proj", k * hd, bias=c.attention_bias)
    mixed = blocks.attention(
        step,
        layer,
        rotate(blocks.split_heads(queries, n, hd)),
        rotate(blocks.split_heads(keys, k, hd)),
        blocks.split_value_heads(values, k, hd),
        scale=hd**-0.5,
    )
    return blocks.linear(mixed, w, p + "o_proj", c.hidden_size, bias=c.attention_bias)


def _mlp(w: Weights, c: Config, p: str, x: Tensor) -> Tensor:
    gate = blocks.linear(x, w, p + "gate_proj", c.intermediate_size, bias=c.mlp_bias)
    up = blocks.linear(x, w, p + "up_proj", c.intermediate_size, bias=c.mlp_bias)
    hidden = ops.mul(blocks.ACTIVATIONS[c.hidden_act](gate), up)
    return blocks.linear(hidden, w, p + "down_proj", c.hidden_size, bias=c.mlp_bias)
