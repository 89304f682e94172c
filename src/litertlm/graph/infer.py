"""What each kind of operation gives for its inputs: shape and type, or GraphError.

The one definition of every operation's rule: graph.ops applies it when an operation is built,
graph.verify applies it again before a model is written. Semantics are those of the TFLite
operators (google-ai-edge/LiteRT, tflite/kernels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from litertlm.graph.types import Dim, DType, GraphError, Shape, Size, Tensor

Inputs = tuple[Tensor, ...]
Attrs = Mapping[str, Any]
Result = tuple[Shape, DType]
Rule = Callable[[Inputs, Attrs], Result]

FLOAT32, INT32, BOOL = DType.FLOAT32, DType.INT32, DType.BOOL


def infer(kind: str, inputs: Inputs, attrs: Attrs) -> Result:
    """Shape and type of the output.

    Raises:
        GraphError: the operation does not take these inputs.
    """
    rule = RULES.get(kind)
    if rule is None:
        raise GraphError(f"there is no operation {kind}")
    try:
        return rule(inputs, attrs)
    except _Refused as error:
        operands = ", ".join(map(repr, inputs))
        detail = f" {dict(attrs)}" if attrs else ""
        raise GraphError(
            f"{inputs[0].graph.name}: {kind}{detail} does not take {operands}{error}"
        ) from None


class _Refused(Exception):
    """A rule is broken; `infer` adds what it was."""


def _want(condition: bool, why: str = "") -> None:
    if not condition:
        raise _Refused(f": {why}" if why else "")


def _fully_connected(inputs: Inputs, attrs: Attrs) -> Result:
    x, weight, *bias = inputs
    _want(all(t.dtype is FLOAT32 for t in inputs))
    _want(len(weight.shape) == 2 and x.shape[-1] == weight.shape[1], "inner sizes differ")
    _want(all(b.shape == weight.shape[:1] for b in bias), "bias is not [out]")
    return (*x.shape[:-1], weight.shape[0]), FLOAT32


def _embedding_lookup(inputs: Inputs, attrs: Attrs) -> Result:
    ids, weight = inputs
    _want(ids.dtype is INT32 and len(ids.shape) == 1 and len(weight.shape) == 2)
    return (*ids.shape, weight.shape[1]), FLOAT32


def _batch_matmul(inputs: Inputs, attrs: Attrs) -> Result:
    a, b = inputs
    _want(a.dtype is b.dtype is FLOAT32 and len(a.shape) >= 2)
    _want(a.shape[:-2] == b.shape[:-2], "batch axes differ")
    _want(a.shape[-1] == b.shape[-1], "inner sizes differ")
    return (*a.shape[:-1], b.shape[-2]), FLOAT32


def _unary(inputs: Inputs, attrs: Attrs) -> Result:
    (x,) = inputs
    _want(x.dtype is FLOAT32)
    return x.shape, FLOAT32


def _binary(inputs: Inputs, attrs: Attrs) -> Result:
    a, b = inputs
    _want(a.dtype is b.dtype, "types differ")
    return _broadcast(inputs), a.dtype


def _compare(inputs: Inputs, attrs: Attrs) -> Result:
    return _binary(inputs, attrs)[0], BOOL


def _select(inputs: Inputs, attrs: Attrs) -> Result:
    condition, a, b = inputs
    _want(condition.dtype is BOOL and a.dtype is b.dtype)
    return _broadcast(inputs), a.dtype


def _cast(inputs: Inputs, attrs: Attrs) -> Result:
    (x,) = inputs
    _want(x.dtype in (INT32, BOOL))
    return x.shape, FLOAT32


def _cumsum(inputs: Inputs, attrs: Attrs) -> Result:
    x, axis = inputs
    _want(x.dtype is FLOAT32 and axis.shape == ())
    return x.shape, FLOAT32


def _mean(inputs: Inputs, attrs: Attrs) -> Result:
    x, axis = inputs
    _want(x.dtype is FLOAT32 and axis.shape == (1,))
    return (*x.shape[:-1], 1), FLOAT32


def _reshape(inputs: Inputs, attrs: Attrs) -> Result:
    x, target = inputs
    shape: Shape = attrs["shape"]
    _want(_count(x.shape) == _count(shape), "the number of elements differs")
    _want(sum(isinstance(d, Dim) for d in shape) <= 1, "more than one dynamic axis")
    _want(target.shape == (len(shape),))
    return shape, x.dtype


def _transpose(inputs: Inputs, attrs: Attrs) -> Result:
    x, _ = inputs
    perm = attrs["perm"]
    _want(sorted(perm) == list(range(len(x.shape))), "not a permutation of the axes")
    return tuple(x.shape[p] for p in perm), x.dtype


def _concat(inputs: Inputs, attrs: Attrs) -> Result:
    first, axis = inputs[0], attrs["axis"]
    total: Size = first.shape[axis]
    for t in inputs[1:]:
        same = (
            t.dtype is first.dtype
            and t.shape[:axis] == first.shape[:axis]
            and t.shape[axis + 1 :] == first.shape[axis + 1 :]
        )
        _want(same, "other axes or types differ")
        total = _sum(total, t.shape[axis])
    return (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype


def _slice(inputs: Inputs, attrs: Attrs) -> Result:
    x = inputs[0]
    axis, start, size = attrs["axis"], attrs["start"], attrs["size"]
    length = x.shape[axis]
    inside = isinstance(length, int) and start >= 0 and size > 0 and start + size <= length
    # Of a dynamic axis only the first element is sure to be there.
    _want(inside or (start == 0 and size == 1), "outside of the axis")
    return (*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype


def _dynamic_update_slice(inputs: Inputs, attrs: Attrs) -> Result:
    x, update, starts = inputs
    rank = len(x.shape)
    _want(x.dtype is update.dtype and starts.dtype is INT32)
    _want(len(update.shape) == rank and starts.shape == (rank,), "ranks differ")
    for size, part in zip(x.shape, update.shape, strict=True):
        static = isinstance(size, int) and isinstance(part, int)
        _want(not static or part <= size, "the update is larger")  # type: ignore[operator]
    return x.shape, x.dtype


def _broadcast(inputs: Inputs) -> Shape:
    first = inputs[0].shape
    if all(t.shape == first or not t.shape for t in inputs):  # most: equal, or scalars
        return first
    rank = max(len(t.shape) for t in inputs)
    out: list[Size] = []
    for axis in range(-rank, 0):
        sizes = {t.shape[axis] for t in inputs if len(t.shape) >= -axis} - {1}
        _want(len(sizes) <= 1, "shapes do not broadcast")
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


def _count(shape: Shape) -> tuple[int, tuple[str, ...]]:
    """Number of elements: a factor and the sorted symbols."""
    factor = math.prod(d.factor if isinstance(d, Dim) else d for d in shape)
    return factor, tuple(sorted(d.name for d in shape if isinstance(d, Dim)))


def _sum(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    _want(isinstance(a, Dim) and isinstance(b, Dim) and a.name == b.name, f"{a} + {b}")
    assert isinstance(a, Dim)
    assert isinstance(b, Dim)
    return Dim(a.name, a.factor + b.factor)


RULES: dict[str, Rule] = {
    "add": _binary,
    "batch_matmul": _batch_matmul,
    "cast": _cast,
    "concat": _concat,
    "cos": _unary,
    "cumsum": _cumsum,
    "dynamic_update_slice": _dynamic_update_slice,
    "embedding_lookup": _embedding_lookup,
    "fully_connected": _fully_connected,
    "gelu": _unary,
    "greater_equal": _compare,
    "logistic": _unary,
    "mean": _mean,
    "mul": _binary,
    "relu": _unary,
    "reshape": _reshape,
    "rsqrt": _unary,
    "select": _select,
    "sin": _unary,
    "slice": _slice,
    "softmax": _unary,
    "sub": _binary,
    "tanh": _unary,
    "transpose": _transpose,
}
