"""The graph's values: dimensions, constants, tensors, operations, graphs and models.

Shapes are tuples of `int` or `Dim`. Letters: S = tokens of this call, C = length of the KV cache.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from litertlm.graph.state import StateTensor


class DType(enum.Enum):
    """Element types that appear in a graph (before quantization)."""

    FLOAT32 = "f32"
    INT32 = "i32"
    BOOL = "bool"


@dataclass(frozen=True)
class Dim:
    """A dimension that is known only when the model runs: `factor` x `name` + `offset`.

    The symbol `name` is at least 1. Sums, differences and multiples are dimensions again, or
    numbers where the symbol cancels out. Those of two symbols raise GraphError.
    """

    name: str
    factor: int = 1
    offset: int = 0

    @property
    def smallest(self) -> float:
        """The least value: where the symbol is 1, or -infinity for a negative factor."""
        return self.factor + self.offset if self.factor > 0 else -math.inf

    def at(self, symbols: Mapping[str, int]) -> int:
        """The value where the symbols have these values."""
        return self.factor * symbols[self.name] + self.offset

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):
            return Dim(self.name, self.factor, self.offset + other)
        if other.name != self.name:
            raise GraphError(f"the dimension {self} + {other} depends on two symbols")
        return _affine(self.name, self.factor + other.factor, self.offset + other.offset)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim(self.name, -self.factor, -self.offset)

    def __sub__(self, other: Size) -> Size:
        return self + -other

    def __rsub__(self, other: int) -> Size:
        return -self + other

    def __mul__(self, other: int) -> Size:
        return _affine(self.name, self.factor * other, self.offset * other)

    __rmul__ = __mul__

    def __str__(self) -> str:
        symbol = {1: "", -1: "-"}.get(self.factor, str(self.factor)) + self.name
        return f"{symbol}{self.offset:+d}" if self.offset else symbol


Size = int | Dim
Shape = tuple[Size, ...]


def _affine(name: str, factor: int, offset: int) -> Size:
    return Dim(name, factor, offset) if factor else offset


Rows = Callable[[int, int], NDArray[Any]]


class GraphError(Exception):
    """An operation or a graph is invalid (a bug of the code that builds it)."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Data known at conversion: a weight of the checkpoint, or a small table.

    Attributes:
        name: the checkpoint's tensor name, or a short name for tables.
        shape: static.
        dtype: of the values that `rows` returns.
        rows: `rows(start, stop)` reads rows of the first axis, `[stop - start, *shape[1:]]`,
            as a fresh array; called only while the file is written. Scalars ignore the range.
        weight: True for data that comes from the checkpoint.
        reused: whether several operations of a graph may read it, as those of a module that the
            model applies more than once.
        place: of a weight in the checkpoint: the name of its file, and where its first row is in
            it. Weights of a checkpoint that is still downloaded arrive in this order.
        row_bytes: that a row takes there.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    rows: Rows
    weight: bool = True
    reused: bool = False
    place: tuple[str, int] = ("", 0)
    row_bytes: int = 0

    def read(self) -> NDArray[Any]:
        """All values."""
        return self.rows(0, self.shape[0] if self.shape else 1)


def table(name: str, values: NDArray[Any]) -> Constant:
    """A constant that is not a weight, from its values (float32, int32 or bool)."""
    kinds = {"f": DType.FLOAT32, "i": DType.INT32, "b": DType.BOOL}
    dtype = kinds[values.dtype.kind]
    data: NDArray[Any] = values.astype(
        {"f": np.float32, "i": np.int32, "b": np.bool_}[values.dtype.kind]
    )
    return Constant(
        name, data.shape, dtype, lambda a, b: data[a:b] if data.ndim else data, weight=False
    )


class Tensor:
    """One value of one graph. Compared by identity."""

    __slots__ = ("constant", "dtype", "graph", "name", "shape")

    def __init__(
        self,
        graph: Graph,
        name: str,
        shape: Shape,
        dtype: DType,
        constant: Constant | None = None,
    ) -> None:
        self.graph = graph
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.constant = constant

    def __repr__(self) -> str:
        return f"{self.name}:{self.dtype.value}[{','.join(map(str, self.shape))}]"


class Op:
    """One operation. `kind` is a key of graph.ops.OPERATIONS."""

    __slots__ = ("attrs", "inputs", "kind", "outputs")

    def __init__(
        self,
        kind: str,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        attrs: Mapping[str, Any],
    ) -> None:
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.attrs = attrs

    @property
    def output(self) -> Tensor:
        """The output of an operation that has one; the first of several."""
        return self.outputs[0]


@dataclass(eq=False)
class Graph:
    """The operations of one signature, in the order in which they run.

    Attributes:
        name: signature name (`prefill_128`, `decode`, ...).
        inputs, outputs: tensors by signature name; a name may be both (a state).
        states: the inputs that are states, by name.
        constants: the tensor of each constant.
        tables: small tables (shapes, axes, scalars) by their values, so that equal ones are one.
    """

    name: str
    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    constants: dict[Constant, Tensor] = field(default_factory=dict)
    tables: dict[Hashable, Tensor] = field(default_factory=dict)
    states: dict[str, StateTensor] = field(default_factory=dict)

    def input(self, name: str, shape: Shape, dtype: DType = DType.FLOAT32) -> Tensor:
        """Declare an input of the signature."""
        if name in self.inputs:
            raise GraphError(f"{self.name}: input {name} is declared twice")
        tensor = Tensor(self, name, shape, dtype)
        self.inputs[name] = tensor
        return tensor

    def state(self, state: StateTensor) -> Tensor:
        """Declare a state: an input whose next value is the output of the same name."""
        tensor = self.input(state.name, state.shape)
        self.states[state.name] = state
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Declare an output of the signature."""
        if name in self.outputs:
            raise GraphError(f"{self.name}: output {name} is declared twice")
        self.outputs[name] = tensor

    def constant(self, constant: Constant) -> Tensor:
        """The tensor of `constant` in this graph; the same one for the same constant."""
        tensor = self.constants.get(constant)
        if tensor is None:
            tensor = Tensor(self, constant.name, constant.shape, constant.dtype, constant)
            self.constants[constant] = tensor
        return tensor

    def number_ops(self) -> None:
        """Name the outputs of all operations by their places, after some were inserted."""
        for place, op in enumerate(self.ops):
            for i, output in enumerate(op.outputs):
                output.name = f"t{place}_{i}" if i else f"t{place}"

    def prune(self) -> None:
        """Drop what no output needs: prefill has no logits, so its last layer ends at the cache."""
        needed = set(self.outputs.values())
        kept = []
        for op in reversed(self.ops):
            if not needed.isdisjoint(op.outputs):
                kept.append(op)
                needed.update(op.inputs)
        self.ops = kept[::-1]
        self.constants = {c: t for c, t in self.constants.items() if t in needed}
        self.tables = {key: t for key, t in self.tables.items() if t in needed}


@dataclass(frozen=True)
class Model:
    """All signatures of a model. Constants are shared between graphs by identity."""

    graphs: tuple[Graph, ...]

    def constants(self) -> Iterator[Constant]:
        """Every constant once, in order of first use."""
        return iter(dict.fromkeys(c for graph in self.graphs for c in graph.constants))
