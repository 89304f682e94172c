"""The operations that families call. Each checks its inputs at the call (graph.infer).

Elementwise operations broadcast as numpy does; a float operand becomes a scalar of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.infer import infer
from litertlm.graph.types import Dim, DType, Op, Shape, Tensor, table

Operand = Tensor | float


def fully_connected(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, head: bool = False
) -> Tensor:
    """x [..., in] times weight [out, in] transposed, plus bias [out]: [..., out].

    `head` marks the projection to the vocabulary, which recipes may store differently.
    """
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return _emit("fully_connected", *inputs, **({"head": True} if head else {}))


def embedding_lookup(ids: Tensor, weight: Tensor) -> Tensor:
    """Rows of weight [V, H] at ids [S]: [S, H]."""
    return _emit("embedding_lookup", ids, weight)


def batch_matmul(a: Tensor, b: Tensor) -> Tensor:
    """a [.., m, k] times b [.., n, k] transposed (`adj_y`): [.., m, n]; equal batch axes."""
    return _emit("batch_matmul", a, b)


def add(a: Tensor, b: Operand) -> Tensor:
    """a + b."""
    return _emit("add", a, _operand(a, b))


def sub(a: Tensor, b: Operand) -> Tensor:
    """a - b."""
    return _emit("sub", a, _operand(a, b))


def mul(a: Tensor, b: Operand) -> Tensor:
    """a * b."""
    return _emit("mul", a, _operand(a, b))


def greater_equal(a: Tensor, b: Operand) -> Tensor:
    """a >= b, as BOOL."""
    return _emit("greater_equal", a, _operand(a, b))


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return _emit("rsqrt", x)


def cos(x: Tensor) -> Tensor:
    """Cosine."""
    return _emit("cos", x)


def sin(x: Tensor) -> Tensor:
    """Sine."""
    return _emit("sin", x)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _emit("tanh", x)


def logistic(x: Tensor) -> Tensor:
    """Sigmoid."""
    return _emit("logistic", x)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return _emit("relu", x)


def gelu(x: Tensor, *, approximate: bool) -> Tensor:
    """GELU; `approximate` is the tanh form."""
    return _emit("gelu", x, approximate=approximate)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis."""
    return _emit("softmax", x)


def cast_float(x: Tensor) -> Tensor:
    """INT32 or BOOL to FLOAT32."""
    return _emit("cast", x)


def cumsum_last(x: Tensor) -> Tensor:
    """Running sum along the last axis, inclusive."""
    axis = len(x.shape) - 1
    return _emit("cumsum", x, _shared(x, f"axis{axis}", np.asarray(axis, np.int32)))


def mean_last(x: Tensor) -> Tensor:
    """Mean over the last axis, kept as 1."""
    return _emit("mean", x, _ints(x, "axes", [len(x.shape) - 1]))


def select(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where condition else b, broadcast."""
    return _emit("select", condition, a, b)


def reshape(x: Tensor, shape: Shape) -> Tensor:
    """The same elements in another shape; at most one axis may be a `Dim`."""
    target = _ints(x, "shape", [-1 if isinstance(d, Dim) else d for d in shape])
    return _emit("reshape", x, target, shape=shape)


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    """Axes reordered: output axis i is input axis perm[i]."""
    return _emit("transpose", x, _ints(x, "perm", perm), perm=tuple(perm))


def concat(tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Joined along `axis`; all other axes equal."""
    return _emit("concat", *tensors, axis=axis % len(tensors[0].shape))


def slice_axis(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """Elements [start, start + size) of one static axis; the other axes whole."""
    axis %= len(x.shape)
    begin = [0] * len(x.shape)
    begin[axis] = start
    sizes = [-1] * len(x.shape)
    sizes[axis] = size
    operands = x, _ints(x, "begin", begin), _ints(x, "size", sizes)
    return _emit("slice", *operands, axis=axis, start=start, size=size)


def dynamic_update_slice(x: Tensor, update: Tensor, starts: Tensor) -> Tensor:
    """x with `update` written at `starts` [rank], INT32; the same shape as x."""
    return _emit("dynamic_update_slice", x, update, starts)


def scalar(like: Tensor, value: float) -> Tensor:
    """A scalar of `like`'s type in its graph; equal values share one tensor."""
    kind = np.float32 if like.dtype is DType.FLOAT32 else np.int32
    array = np.asarray(value, kind)
    return _shared(like, f"c{array.item():g}", array)


def _operand(like: Tensor, value: Operand) -> Tensor:
    return value if isinstance(value, Tensor) else scalar(like, value)


def _ints(like: Tensor, name: str, values: Sequence[int]) -> Tensor:
    array = np.asarray(values, np.int32)
    return _shared(like, name + "_".join(map(str, values)), array)


def _shared(like: Tensor, name: str, array: NDArray[Any]) -> Tensor:
    """A small table; tables with the same values are one tensor of the graph."""
    graph = like.graph
    key = (array.dtype.char, array.shape, array.tobytes())
    found = graph.tables.get(key)
    if found is None:
        found = graph.constant(table(name, array))
        graph.tables[key] = found
    return found


def _emit(kind: str, *inputs: Tensor, **attrs: Any) -> Tensor:
    shape, dtype = infer(kind, inputs, attrs)
    graph = inputs[0].graph
    output = Tensor(graph, f"t{len(graph.ops)}", shape, dtype)
    graph.ops.append(Op(kind, inputs, output, attrs))
    return output
