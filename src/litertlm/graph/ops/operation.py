"""What an operation is, and how families' calls become operations of a graph.

An `Operation` has a shape rule and a numpy evaluation; the function that families call is next to
it in the modules of this package. Its TFLite operator is a row of tflite/operators.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.types import (
    Constant,
    Dim,
    DType,
    GraphError,
    Op,
    Shape,
    Size,
    Tensor,
    table,
)

FLOAT32, INT32, BOOL = DType.FLOAT32, DType.INT32, DType.BOOL
NUMPY_TYPES = {FLOAT32: np.float32, INT32: np.int32, BOOL: np.bool_}

Array = NDArray[Any]
Inputs = tuple[Tensor, ...]
Attrs = Mapping[str, Any]
Results = tuple[tuple[Shape, DType], ...]
Operand = Tensor | float


@dataclass(frozen=True)
class Operation:
    """A kind of operation.

    Attributes:
        kind: its name in `Op.kind` and in the printed graph.
        infer: shapes and types of the outputs; calls `want` for each condition on the inputs.
        evaluate: numpy values of the inputs to those of the output, or to a tuple of several.
            Floats are float32, integers int32.
        rows_of: the index of an input that `evaluate` is given as a `Constant`, to be read in
            blocks of rows.
        repeats: attributes that repeat the value of an operand, and are not printed.
    """

    kind: str
    infer: Callable[[Inputs, Attrs], Results]
    evaluate: Callable[[Sequence[Any], Attrs], Array | tuple[Array, ...]]
    rows_of: int | None = None
    repeats: tuple[str, ...] = ()


class _Unfit(Exception):
    """A condition of a shape rule is not met; `infer` adds which operation and operands."""


def want(condition: bool, why: str = "") -> None:
    """A condition of a shape rule."""
    if not condition:
        raise _Unfit(f": {why}" if why else "")


def infer(operation: Operation, inputs: Inputs, attrs: Attrs) -> Results:
    """Shape and type of each output.

    Raises:
        GraphError: the operation does not take these inputs.
    """
    try:
        return operation.infer(inputs, attrs)
    except _Unfit as error:
        reason = str(error)
    except (GraphError, ValueError) as error:  # dimensions of two symbols; too many operands
        reason = f": {error}"
    operands = ", ".join(map(repr, inputs))
    detail = f" {dict(attrs)}" if attrs else ""
    raise GraphError(
        f"{inputs[0].graph.name}: {operation.kind}{detail} does not take {operands}{reason}"
    )


def emit_all(operation: Operation, *inputs: Tensor, **attrs: Any) -> tuple[Tensor, ...]:
    """Append an operation to the graph of its inputs; its outputs."""
    graph = inputs[0].graph
    name = f"t{len(graph.ops)}"
    results = infer(operation, inputs, attrs)
    outputs = tuple(
        [
            Tensor(graph, f"{name}_{i}" if i else name, shape, dtype)
            for i, (shape, dtype) in enumerate(results)
        ]
    )
    graph.ops.append(Op(operation.kind, inputs, outputs, attrs))
    return outputs


def emit(operation: Operation, *inputs: Tensor, **attrs: Any) -> Tensor:
    """`emit_all` of an operation with one output."""
    graph = inputs[0].graph
    ((shape, dtype),) = infer(operation, inputs, attrs)
    output = Tensor(graph, f"t{len(graph.ops)}", shape, dtype)
    graph.ops.append(Op(operation.kind, inputs, (output,), attrs))
    return output


def scalar(like: Tensor, value: float) -> Tensor:
    """A scalar of `like`'s type in its graph; equal values share one tensor."""
    array: Array = np.asarray(value, NUMPY_TYPES[like.dtype])
    return shared(like, f"c{array.item():g}", array)


def operands(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Two operands as tensors: numbers become scalars of the other one's type.

    Raises:
        GraphError: neither is a tensor.
    """
    if isinstance(a, Tensor):
        return a, b if isinstance(b, Tensor) else scalar(a, b)
    if not isinstance(b, Tensor):
        raise GraphError(f"one of {a} and {b} must be a tensor")
    return scalar(b, a), b


def ints(like: Tensor, name: str, values: Sequence[int]) -> Tensor:
    """A vector of INT32 in the graph of `like`."""
    array = np.asarray(values, np.int32)
    return shared(like, name + "_".join(map(str, values)), array)


def shared(like: Tensor, name: str, array: Array) -> Tensor:
    """A small table in the graph of `like`; tables with the same values are one tensor."""
    graph = like.graph
    key = (array.dtype.char, array.shape, array.tobytes())
    found = graph.tables.get(key)
    if found is None:
        found = graph.constant(table(name, array))
        graph.tables[key] = found
    return found


def axis_of(x: Tensor, axis: int) -> int:
    """An axis counted from the first one; -1 is the last.

    Raises:
        GraphError: there is no such axis.
    """
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise GraphError(f"{x.graph.name}: {x!r} has no axis {axis}")
    return axis % rank


def broadcast(inputs: Sequence[Tensor]) -> Shape:
    """The shape of an elementwise operation: as numpy broadcasts."""
    common = inputs[0].shape
    for t in inputs[1:]:
        if t.shape and t.shape != common:
            common = broadcast_shapes(common, t.shape)
    return common


def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    """The common shape of two."""
    if len(a) < len(b):
        a, b = b, a
    lead = len(a) - len(b)
    if a[lead:] == b:
        return a
    out = list(a)
    for axis, size in enumerate(b, lead):
        if out[axis] == 1:
            out[axis] = size
        elif size != 1 and size != out[axis]:
            want(False, "shapes do not broadcast")
    return tuple(out)


def count(shape: Shape) -> tuple[int, tuple[Dim, ...]]:
    """Number of elements: a factor, and dimensions without a common factor in a fixed order."""
    number, dims = 1, []
    for size in shape:
        if isinstance(size, int):
            number *= size
        elif size.offset:
            common = math.gcd(size.factor, size.offset)
            number *= common
            dims.append(Dim(size.name, size.factor // common, size.offset // common))
        else:
            number *= size.factor
            dims.append(Dim(size.name))
    return number, tuple(sorted(dims, key=str))


def at_least(size: Size, least: int) -> bool:
    """Whether `size` is `least` or more whatever its symbol is."""
    return size >= least if isinstance(size, int) else size.smallest >= least


def replaced(shape: Shape, axis: int, size: Size) -> Shape:
    """`shape` with another size along `axis`."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def as_constant(value: Array | Constant) -> Constant:
    """An operand that is read in blocks of rows, also where it is computed."""
    return value if isinstance(value, Constant) else table("computed", value)
