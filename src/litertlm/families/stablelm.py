"""StableLM (3B, Zephyr) and StableLM 2 (1.6B, 12B): LayerNorms, a quarter of each head rotated.

Side by side with transformers/models/stablelm/modeling_stablelm.py; same tensor names.
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
    """The keys that are StableLM's own; `rms_norm_eps` is `layer_norm_eps`.

    Attributes:
        use_parallel_residual: attention and MLP read the same input.
    """

    use_qkv_bias: bool
    qk_layernorm: bool
    use_parallel_residual: bool


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        num_key_value_heads=32, max_position_embeddings=4096, partial_rotary_factor=0.25
    )
    c.size("num_key_value_heads")  # not null, unlike in other families
    common = read_decoder(c.with_values(rms_norm_eps=c.positive("layer_norm_eps", 1e-5)))
    if common["head_dim"] * common["num_attention_heads"] != common["hidden_size"]:
        raise c.unsupported("head_dim", "times the number of heads is not the hidden size")
    return Config(
        **common,
        use_qkv_bias=c.flag("use_qkv_bias"),
        qk_layernorm=c.flag("qk_layernorm"),
        use_parallel_residual=c.flag("use_parallel_residual"),
        rope=read_rope(c, common["head_dim"], partial=True, proportional=False),
    )


def decoder(step: Step, w: Weights, c: Config) -> None:
    """StableLmForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.layer_norm(x, w, p + "input_layernorm", eps, bias=True)
        x = ops.add(x, _attention(step, w, c, i, y))
        if not c.use_parallel_residual:
            y = blocks.layer_norm(x, w, p + "post_attention_layernorm", eps, bias=True)
        x = ops.add(x, blocks.mlp(y, w, p + "mlp", c.intermediate_size, c.hidden_act))
    x = blocks.layer_norm(x, w, "model.norm", eps, bias=True)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    p = f"model.layers.{layer}.self_attn."
    heads, kv_heads, hd = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    rotate = step.rotation(c.rope)
    q, k, v = blocks.project_heads(x, w, p, heads, kv_heads, hd, bias=c.use_qkv_bias)
    if c.qk_layernorm:
        q = _head_norms(q, w, p + "q_layernorm", c.rms_norm_eps)
        k = _head_norms(k, w, p + "k_layernorm", c.rms_norm_eps)
    y = blocks.attention(step, layer, rotate(q), rotate(k), v, scale=hd**-0.5)
    return blocks.linear(y, w, p + "o_proj", c.hidden_size)


def _head_norms(x: Tensor, w: Weights, name: str, eps: float) -> Tensor:
    """A LayerNorm for each head of x [1, heads, S, hd]."""
    _, heads, _, hd = x.shape
    assert isinstance(heads, int)
    assert isinstance(hd, int)
    weights = [x.graph.constant(w.get(f"{name}.norms.{i}.weight", hd)) for i in range(heads)]
    weight = ops.reshape(ops.pack(weights, 0), (1, heads, 1, hd))
    return ops.layer_norm(x, weight, None, eps)
