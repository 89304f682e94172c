"""Names and shapes of tensors, listed apart from `src/` on purpose.

They are the parameters of transformers' modeling files, in the order of their modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

SANDWICH_NORMS = ("input", "post_attention", "pre_feedforward", "post_feedforward")


def linear(name: str, out: int, width: int, *, bias: bool = False) -> Iterator[tuple[str, Shape]]:
    """A Linear module."""
    yield f"{name}.weight", (out, width)
    if bias:
        yield f"{name}.bias", (out,)


def layer_tensors(
    config: Mapping[str, Any],
    *,
    qkv_bias: bool | None = None,
    out_bias: bool | None = None,
    mlp_bias: bool | None = None,
    fused: bool = False,
    mlp_modules: tuple[str, ...] | None = None,
    qk_norm: str | None = None,
    qk_norm_names: tuple[str, str] = ("q_norm", "k_norm"),
    norms: tuple[str, ...] = ("input", "post_attention"),
    norm_bias: bool = False,
) -> Iterator[tuple[str, Shape]]:
    """A layer as Llama has it, with what other families change.

    Args:
        qkv_bias: whether q, k and v have biases; `attention_bias` where it is None.
        out_bias: whether the output projection has one; `attention_bias` where it is None.
        mlp_bias: whether the MLP's modules have them; `mlp_bias` where it is None.
        fused: q, k and v are one module, gate and up another.
        mlp_modules: of the MLP; the last one goes back to the hidden size.
        qk_norm: norms of queries and keys, over each `head` or over `all` heads.
        qk_norm_names: their modules.
        norms: before the suffix `_layernorm`.
        norm_bias: whether they have biases.
    """
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)
    bias = config.get("attention_bias", False)
    qkv_bias = bias if qkv_bias is None else qkv_bias
    out_bias = bias if out_bias is None else out_bias
    mlp_bias = config.get("mlp_bias", False) if mlp_bias is None else mlp_bias
    if fused:
        yield from linear("self_attn.qkv_proj", (heads + 2 * kv_heads) * head_dim, hidden)
    else:
        for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            yield from linear(f"self_attn.{name}_proj", count * head_dim, hidden, bias=qkv_bias)
    yield from linear("self_attn.o_proj", hidden, heads * head_dim, bias=out_bias)
    if qk_norm is not None:
        each = qk_norm == "head"
        query_norm, key_norm = qk_norm_names
        yield f"self_attn.{query_norm}.weight", (head_dim if each else heads * head_dim,)
        yield f"self_attn.{key_norm}.weight", (head_dim if each else kv_heads * head_dim,)
    gated = ("gate_up_proj",) if fused else ("gate_proj", "up_proj")
    *inner, down = mlp_modules or (*gated, "down_proj")
    for name in inner:
        width = 2 * mlp if name == "gate_up_proj" else mlp
        yield from linear(f"mlp.{name}", width, hidden, bias=mlp_bias)
    yield from linear(f"mlp.{down}", hidden, mlp, bias=mlp_bias)
    for norm in norms:
        yield f"{norm}_layernorm.weight", (hidden,)
        if norm_bias:
            yield f"{norm}_layernorm.bias", (hidden,)
