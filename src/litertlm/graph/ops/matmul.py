"""Products of matrices, and lookups in embedding tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from litertlm.graph.ops.operation import (
    FLOAT32,
    INT32,
    Array,
    Attrs,
    Inputs,
    Operation,
    Results,
    as_constant,
    emit,
    want,
)
from litertlm.graph.types import Constant, Tensor

_BLOCK_BYTES = 1 << 26


def fully_connected(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, head: bool = False
) -> Tensor:
    """x [..., in] times weight [out, in] transposed, plus bias [out]: [..., out].

    `head` marks the projection to the vocabulary, which recipes may store differently.
    """
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return emit(FULLY_CONNECTED, *inputs, **({"head": True} if head else {}))


def _fully_connected(inputs: Inputs, attrs: Attrs) -> Results:
    x, weight, *bias = inputs
    want(all(t.dtype is FLOAT32 for t in inputs), "not float32")
    want(len(weight.shape) == 2 and x.shape[-1] == weight.shape[1], "inner sizes differ")
    want(all(b.shape == weight.shape[:1] for b in bias), "bias is not [out]")
    return (((*x.shape[:-1], weight.shape[0]), FLOAT32),)


def _evaluate_fully_connected(x: Sequence[Any], attrs: Attrs) -> Array:
    left, weight, *bias = x
    constant = as_constant(weight)
    out = np.empty((*left.shape[:-1], constant.shape[0]), np.float32)
    for start, stop in _blocks(constant):
        out[..., start:stop] = left @ constant.rows(start, stop).T
    for one in bias:
        out += one
    return out


def _blocks(constant: Constant) -> Iterator[tuple[int, int]]:
    rows, width = constant.shape
    step = max(1, _BLOCK_BYTES // (4 * width))
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


FULLY_CONNECTED = Operation(
    "fully_connected", _fully_connected, _evaluate_fully_connected, rows_of=1
)


def embedding_lookup(ids: Tensor, weight: Tensor) -> Tensor:
    """Rows of weight [V, H] at ids [S]: [S, H]."""
    return emit(EMBEDDING_LOOKUP, ids, weight)


def _embedding_lookup(inputs: Inputs, attrs: Attrs) -> Results:
    ids, weight = inputs
    want(ids.dtype is INT32 and len(ids.shape) == 1, "ids are not [S] of int32")
    want(weight.dtype is FLOAT32 and len(weight.shape) == 2, "the table is not [V, H]")
    return (((*ids.shape, weight.shape[1]), FLOAT32),)


def _evaluate_lookup(x: Sequence[Any], attrs: Attrs) -> Array:
    ids, weight = x
    constant = as_constant(weight)
    return np.stack([constant.rows(int(i), int(i) + 1)[0] for i in ids])


EMBEDDING_LOOKUP = Operation("embedding_lookup", _embedding_lookup, _evaluate_lookup, rows_of=1)


def batch_matmul(a: Tensor, b: Tensor, *, transpose_b: bool = True) -> Tensor:
    """a [.., m, k] times b [.., n, k] transposed (or b [.., k, n] as it is): [.., m, n].

    Batch axes are equal.
    """
    return emit(BATCH_MATMUL, a, b, **({} if transpose_b else {"transpose_b": False}))


def _batch_matmul(inputs: Inputs, attrs: Attrs) -> Results:
    a, b = inputs
    want(a.dtype is b.dtype is FLOAT32, "not float32")
    want(len(a.shape) == len(b.shape) >= 2, "ranks differ")
    want(a.shape[:-2] == b.shape[:-2], "batch axes differ")
    inner, out = (-1, -2) if attrs.get("transpose_b", True) else (-2, -1)
    want(a.shape[-1] == b.shape[inner], "inner sizes differ")
    return (((*a.shape[:-1], b.shape[out]), FLOAT32),)


def _evaluate_batch_matmul(x: Sequence[Any], attrs: Attrs) -> Array:
    a, b = x
    return np.asarray(a @ (b.swapaxes(-1, -2) if attrs.get("transpose_b", True) else b))


BATCH_MATMUL = Operation("batch_matmul", _batch_matmul, _evaluate_batch_matmul)
