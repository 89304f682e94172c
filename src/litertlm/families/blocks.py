"""The layers that decoder-only transformers are made of.

Letters in shapes: S tokens of this call, C cache length, H hidden size, N query heads,
K key/value heads, G = N / K, hd head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from litertlm.families.step import Step
from litertlm.families.weights import Rows, Weights, pairs_to_halves
from litertlm.graph import Tensor, ops, table

EMBEDDING, HEAD, HEAD_BIAS = "model.embed_tokens.weight", "lm_head.weight", "lm_head.bias"


def embed(step: Step, w: Weights, vocab: int, hidden: int, *, scale: float = 1.0) -> Tensor:
    """Token embeddings times `scale`: [1, S, H]."""
    ids = ops.reshape(step.tokens, (step.signature.tokens,))
    return lookup(ids, w, EMBEDDING, vocab, hidden, scale=scale)


def lookup(
    ids: Tensor, w: Weights, name: str, vocab: int, width: int, *, scale: float = 1.0
) -> Tensor:
    """The rows `ids` [S] of the table `name` [vocab, width], times `scale`: [1, S, width]."""
    rows = ops.embedding_lookup(ids, ids.graph.constant(w.get(name, vocab, width)))
    # Adds the first axis, too. A RESHAPE would be followed by one more pass (tflite/delegate.py).
    return ops.mul(rows, ids.graph.constant(table("scale", np.full((1, 1, 1), scale))))


def linear(
    x: Tensor, w: Weights, name: str, out: int, *, bias: bool = False, order: Rows | None = None
) -> Tensor:
    """The Linear module `name` (`name.weight`, and `name.bias` if asked): [..., out].

    Args:
        order: another order of its outputs, as indices of all of them.
    """
    width = x.shape[-1]
    assert isinstance(width, int)
    if order is None:
        weight = w.get(f"{name}.weight", out, width)
        added = w.get(f"{name}.bias", out) if bias else None
    else:
        weight = w.view(f"{name}.weight", (out, width), order)
        added = w.view(f"{name}.bias", (out,), order) if bias else None
    return ops.fully_connected(
        x, x.graph.constant(weight), None if added is None else x.graph.constant(added)
    )


def float_linear(x: Tensor, w: Weights, name: str, out: int) -> Tensor:
    """The Linear module `name` with a small matrix, which no recipe quantizes: x [1, S, in] to
    [1, S, out]."""
    _, s, width = x.shape
    assert isinstance(width, int)
    weight = x.graph.constant(w.get(f"{name}.weight", out, width))
    return ops.reshape(ops.batch_matmul(ops.reshape(x, (s, width)), weight), (1, s, out))


def split_linear(
    x: Tensor, w: Weights, name: str, sizes: Sequence[int], *, bias: bool = False
) -> list[Tensor]:
    """The Linear module `name` that fuses several, one after the other: [..., size] of each."""
    width, total = x.shape[-1], sum(sizes)
    assert isinstance(width, int)
    parts, start = [], 0
    for size in sizes:
        rows = range(start, start + size)
        weight = x.graph.constant(w.view(f"{name}.weight", (total, width), rows))
        added = x.graph.constant(w.view(f"{name}.bias", (total,), rows)) if bias else None
        parts.append(ops.fully_connected(x, weight, added))
        start += size
    return parts


def rms_norm(x: Tensor, w: Weights, name: str, eps: float, *, weight_offset: float = 0.0) -> Tensor:
    """x / rms(x) * (weight + weight_offset) over the last axis (Zhang and Sennrich 2019)."""
    width = x.shape[-1]
    assert isinstance(width, int)
    weight = w.get(f"{name}.weight", width, weight_offset=weight_offset)
    return ops.mul(unit_rms(x, eps), x.graph.constant(weight))


def unit_rms(x: Tensor, eps: float) -> Tensor:
    """x / rms(x) over the last axis: RMSNorm without a weight."""
    variance = ops.mean_last(ops.mul(x, x))
    return ops.mul(x, ops.rsqrt(ops.add(variance, eps)))


def layer_norm(
    x: Tensor,
    w: Weights,
    name: str,
    eps: float,
    *,
    bias: bool = False,
    weight_offset: float = 0.0,
) -> Tensor:
    """(x - mean) / deviation * (weight + weight_offset) over the last axis (Ba et al. 2016), plus
    a bias if asked."""
    width = x.shape[-1]
    assert isinstance(width, int)
    weight = w.get(f"{name}.weight", width, weight_offset=weight_offset)
    added = x.graph.constant(w.get(f"{name}.bias", width)) if bias else None
    return ops.layer_norm(x, x.graph.constant(weight), added, eps)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[1, S, heads*hd] to [1, heads, S, hd], as queries and keys are used."""
    return ops.transpose(_with_heads(x, heads), (0, 2, 1, 3))


def split_value_heads(x: Tensor, heads: int) -> Tensor:
    """[1, S, heads*hd] to [1, heads, hd, S], as the value cache is stored."""
    return ops.transpose(_with_heads(x, heads), (0, 2, 3, 1))


def project_heads(
    x: Tensor,
    w: Weights,
    prefix: str,
    heads: int,
    kv_heads: int,
    head_dim: int,
    *,
    bias: bool = False,
    interleaved: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """x [1, S, H] through `q_proj`, `k_proj` and `v_proj` after `prefix`, split into heads:
    q [1, N, S, hd], k [1, K, S, hd], v [1, K, hd, S].

    Args:
        interleaved: so many dimensions of each query and key head are rotated in neighbouring
            pairs in the checkpoint; they become halves, as `step.rotation` expects them.
    """

    def project(name: str, count: int) -> Tensor:
        order = None if interleaved is None else pairs_to_halves(count, head_dim, interleaved)
        y = linear(x, w, f"{prefix}{name}", count * head_dim, bias=bias, order=order)
        return split_heads(y, count)

    q, k = project("q_proj", heads), project("k_proj", kv_heads)
    v = linear(x, w, f"{prefix}v_proj", kv_heads * head_dim, bias=bias)
    return q, k, split_value_heads(v, kv_heads)


def _with_heads(x: Tensor, heads: int) -> Tensor:
    _, s, width = x.shape
    assert isinstance(width, int)
    return ops.reshape(x, (1, s, heads, width // heads))


def attention(
    step: Step,
    layer: int,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
) -> Tensor:
    """Grouped-query attention of a layer that writes k and v into its own cache.

    Args:
        q: [1, N, S, hd]. k: [1, K, S, hd]. v: [1, K, hd, S].
        scale, softcap: as in `attend`.

    Returns:
        [1, S, N*hd].
    """
    step.update_cache(layer, k, v)
    return attend(step, layer, q, scale=scale, softcap=softcap)


def attend(
    step: Step, layer: int, q: Tensor, *, scale: float, softcap: float | None = None
) -> Tensor:
    """Grouped-query attention over the cache of `layer`, which another layer may own.

    The window is the one that the cache declares.

    Args:
        q: [1, N, S, hd].
        scale: multiplies q.
        softcap: scores become softcap * tanh(scores / softcap).

    Returns:
        [1, S, N*vd].
    """
    cache = step.kv_cache(layer)
    keys, values = step.cache(layer)
    heads, s, hd = q.shape[1], q.shape[2], cache.head_dim
    value_dim = cache.value_dim or hd
    assert isinstance(heads, int)
    groups = heads // cache.heads
    # Also by 1, which tflite/delegate.py would do otherwise.
    q = ops.mul(ops.reshape(q, (1, cache.heads, groups * s, hd)), scale)
    scores = ops.batch_matmul(q, keys)
    if softcap is not None:
        scores = soft_cap(scores, softcap)
    scores = ops.add(scores, step.repeat_mask(step.sliding_mask(cache.window), groups))
    attn_out = ops.batch_matmul(ops.softmax(scores), values)
    attn_out = ops.transpose(ops.reshape(attn_out, (1, heads, s, value_dim)), (0, 2, 1, 3))
    return ops.reshape(attn_out, (1, s, heads * value_dim))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": lambda x: ops.mul(x, ops.logistic(x)),
    "swish": lambda x: ops.mul(x, ops.logistic(x)),
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "relu2": lambda x: ops.square(ops.relu(x)),
}


def mlp(
    x: Tensor,
    w: Weights,
    name: str,
    width: int,
    activation: str,
    *,
    bias: bool = False,
    modules: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> Tensor:
    """The MLP module `name`: down(activation(gate(x)) * up(x)), `width` wide inside: [..., H].

    Args:
        modules: the names of its gate, up and down.
    """
    hidden = x.shape[-1]
    assert isinstance(hidden, int)
    gate_name, up_name, down_name = (f"{name}.{module}" for module in modules)
    gate = linear(x, w, gate_name, width, bias=bias)
    up = linear(x, w, up_name, width, bias=bias)
    return linear(ops.mul(ACTIVATIONS[activation](gate), up), w, down_name, hidden, bias=bias)


def fused_mlp(
    x: Tensor,
    w: Weights,
    name: str,
    width: int,
    activation: str,
    *,
    modules: tuple[str, str] = ("gate_up_proj", "down_proj"),
) -> Tensor:
    """The MLP module `name` where one module fuses gate and up, without biases: [..., H].

    Args:
        modules: the names of that module and of down.
    """
    hidden = x.shape[-1]
    assert isinstance(hidden, int)
    gate_up = linear(x, w, f"{name}.{modules[0]}", 2 * width)
    gate = ACTIVATIONS[activation](ops.slice_axis(gate_up, -1, 0, width))
    up = ops.slice_axis(gate_up, -1, width, width)
    return linear(ops.mul(gate, up), w, f"{name}.{modules[1]}", hidden)


def plain_mlp(
    x: Tensor,
    w: Weights,
    up: str,
    down: str,
    width: int,
    activation: str,
    *,
    bias: bool = False,
) -> Tensor:
    """Two Linear modules without a gate, down(activation(up(x))), `width` wide inside: [..., H]."""
    hidden = x.shape[-1]
    assert isinstance(hidden, int)
    y = ACTIVATIONS[activation](linear(x, w, up, width, bias=bias))
    return linear(y, w, down, hidden, bias=bias)


def short_convolution(
    step: Step, layer: int, x: Tensor, w: Weights, name: str, taps: int, *, bias: bool = False
) -> Tensor:
    """The gated short convolution of LFM2, module `name`: [1, S, H].

    `in_proj` gives two gates and an input; a causal depthwise convolution of so many `taps` runs
    over the gated input. The layer's cache is KVCache(1, H, value_dim=1).
    """
    width = x.shape[-1]
    assert isinstance(width, int)
    before, after, x = split_linear(x, w, f"{name}.in_proj", (width,) * 3, bias=bias)
    rows = step.cached_convolution_input(layer, ops.mul(before, x), taps - 1)
    filters = w.transformed(
        f"{name}.conv.weight", (width, 1, taps), (1, 1, taps, width), _taps_first
    )
    added = x.graph.constant(w.get(f"{name}.conv.bias", width)) if bias else None
    y = ops.depthwise_conv_1d(rows, x.graph.constant(filters), added)
    return linear(ops.mul(after, y), w, f"{name}.out_proj", width, bias=bias)


def _taps_first(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """[H, 1, taps] to [1, taps, H]."""
    return np.ascontiguousarray(filters.transpose(1, 2, 0))


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """cap * tanh(x / cap), which keeps values within (-cap, cap)."""
    return ops.mul(ops.tanh(ops.mul(x, 1.0 / cap)), cap)


def head(
    step: Step,
    x: Tensor,
    w: Weights,
    vocab: int,
    *,
    tied: bool,
    bias: bool = False,
    scale: float = 1.0,
    softcap: float | None = None,
) -> None:
    """The logits, [1, S, V], if the signature returns them.

    Args:
        x: [1, S, H], normalised.
        tied: the head is the embedding table, unless the checkpoint has another head
            (`Weights.shares_head`).
        bias: whether the head has one, `lm_head.bias`.
        scale: multiplies the logits.
        softcap: logits become softcap * tanh(logits / softcap).
    """
    width = x.shape[-1]
    assert isinstance(width, int)
    shared = tied and w.shares_head(EMBEDDING, HEAD)
    weight = w.get(EMBEDDING if shared else HEAD, vocab, width)
    added = w.get(HEAD_BIAS, vocab) if bias else None
    if not step.signature.logits:
        return
    constants = [step.graph.constant(c) for c in (weight, added) if c is not None]
    logits = ops.fully_connected(x, *constants, head=True)
    if scale != 1.0:
        logits = ops.mul(logits, scale)
    if softcap is not None:
        logits = soft_cap(logits, softcap)
    step.graph.output("logits", logits)
