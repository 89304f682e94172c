"""Operations along axes: means and other reductions, running sums, softmax, norms, the largest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litertlm.graph.ops.elementwise import add, mul, rsqrt, square, sub
from litertlm.graph.ops.operation import (
    BOOL,
    FLOAT32,
    INT32,
    Array,
    Attrs,
    Inputs,
    Operation,
    Results,
    at_least,
    axis_of,
    emit,
    emit_all,
    ints,
    shared,
    want,
)
from litertlm.graph.types import Tensor


def mean(x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
    """Mean over axes, which are kept as 1 or dropped."""
    return _reduced(MEAN, x, axes, keepdims)


def mean_last(x: Tensor) -> Tensor:
    """Mean over the last axis, kept as 1."""
    return mean(x, [-1])


def reduce_sum(x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
    """Sum over axes."""
    return _reduced(SUM, x, axes, keepdims)


def reduce_max(x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
    """The largest value over axes."""
    return _reduced(REDUCE_MAX, x, axes, keepdims)


def reduce_min(x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
    """The smallest value over axes."""
    return _reduced(REDUCE_MIN, x, axes, keepdims)


def reduce_prod(x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
    """Product over axes."""
    return _reduced(REDUCE_PROD, x, axes, keepdims)


def _reduced(operation: Operation, x: Tensor, axes: Sequence[int], keepdims: bool) -> Tensor:
    chosen = [axis_of(x, axis) for axis in axes]
    attrs = {"axes": tuple(chosen), **({} if keepdims else {"keepdims": False})}
    return emit(operation, x, ints(x, "axes", chosen), **attrs)


def _reduction(inputs: Inputs, attrs: Attrs) -> Results:
    x, operand = inputs
    axes = attrs["axes"]
    want(x.dtype is FLOAT32, "not float32")
    want(len(set(axes)) == len(axes) > 0 and operand.shape == (len(axes),), "axes repeat")
    if attrs.get("keepdims", True):
        return ((tuple([1 if i in axes else d for i, d in enumerate(x.shape)]), FLOAT32),)
    return ((tuple([d for i, d in enumerate(x.shape) if i not in axes]), FLOAT32),)


def _reduce_by(compute: Callable[..., Array]) -> Callable[[Sequence[Any], Attrs], Array]:
    return lambda x, a: np.asarray(
        compute(x[0], axis=a["axes"], keepdims=a.get("keepdims", True)), np.float32
    )


MEAN = Operation("mean", _reduction, _reduce_by(np.mean), repeats=("axes",))
SUM = Operation("sum", _reduction, _reduce_by(np.sum), repeats=("axes",))
REDUCE_MAX = Operation("reduce_max", _reduction, _reduce_by(np.max), repeats=("axes",))
REDUCE_MIN = Operation("reduce_min", _reduction, _reduce_by(np.min), repeats=("axes",))
REDUCE_PROD = Operation("reduce_prod", _reduction, _reduce_by(np.prod), repeats=("axes",))


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis."""
    return emit(SOFTMAX, x)


def _softmax(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    want(x.dtype is FLOAT32 and len(x.shape) > 0, "not a float32 tensor of axes")
    return ((x.shape, FLOAT32),)


def _evaluate_softmax(x: Sequence[Any], attrs: Attrs) -> Array:
    exponentials = np.exp(x[0] - x[0].max(axis=-1, keepdims=True))
    result: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


SOFTMAX = Operation("softmax", _softmax, _evaluate_softmax)


def cumsum(x: Tensor, axis: int) -> Tensor:
    """Running sum along one axis, inclusive."""
    axis = axis_of(x, axis)
    return emit(CUMSUM, x, _axis(x, axis), axis=axis)


def cumsum_last(x: Tensor) -> Tensor:
    """Running sum along the last axis, inclusive."""
    return cumsum(x, -1)


def _axis(x: Tensor, axis: int) -> Tensor:
    return shared(x, f"axis{axis}", np.asarray(axis, np.int32))


def _cumsum(inputs: Inputs, attrs: Attrs) -> Results:
    x, axis = inputs
    want(x.dtype is not BOOL and axis.shape == (), "not numbers")
    return ((x.shape, x.dtype),)


CUMSUM = Operation(
    "cumsum",
    _cumsum,
    lambda x, a: np.cumsum(x[0], axis=a["axis"], dtype=x[0].dtype),
    repeats=("axis",),
)


def argmax(x: Tensor, axis: int = -1) -> Tensor:
    """The index of the largest value along one axis, which is dropped; INT32."""
    axis = axis_of(x, axis)
    return emit(ARGMAX, x, _axis(x, axis), axis=axis)


def _argmax(inputs: Inputs, attrs: Attrs) -> Results:
    x, axis = inputs[0], attrs["axis"]
    want(x.dtype is not BOOL, "not numbers")
    return (((*x.shape[:axis], *x.shape[axis + 1 :]), INT32),)


ARGMAX = Operation(
    "argmax",
    _argmax,
    lambda x, a: np.asarray(np.argmax(x[0], axis=a["axis"]), np.int32),
    repeats=("axis",),
)


def top_k(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of the last axis, largest first, and their indices (INT32)."""
    values, indices = emit_all(TOP_K, x, shared(x, f"k{k}", np.asarray(k, np.int32)), k=k)
    return values, indices


def _top_k(inputs: Inputs, attrs: Attrs) -> Results:
    x, k = inputs[0], attrs["k"]
    want(x.dtype is not BOOL and len(x.shape) > 0, "not numbers")
    want(k >= 1 and at_least(x.shape[-1], k), "the last axis is shorter")
    shape = (*x.shape[:-1], k)
    return (shape, x.dtype), (shape, INT32)


def _evaluate_top_k(x: Sequence[Any], attrs: Attrs) -> tuple[Array, ...]:
    order = np.argsort(-x[0], axis=-1, kind="stable")[..., : attrs["k"]].astype(np.int32)
    return np.take_along_axis(x[0], order, axis=-1), order


TOP_K = Operation("top_k", _top_k, _evaluate_top_k, repeats=("k",))


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016)."""
    centered = sub(x, mean_last(x))
    variance = mean_last(square(centered))
    scaled = mul(centered, rsqrt(add(variance, eps)))
    if weight is not None:
        scaled = mul(scaled, weight)
    return scaled if bias is None else add(scaled, bias)
