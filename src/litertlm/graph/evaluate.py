"""Compute a graph with numpy in float32: the reference that converted models are held against.

Nothing is quantized, and weights are read from the checkpoint a block of rows at a time, so that
memory holds activations and one block. Shapes must be static.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.types import Constant, Graph, Op, Tensor

Array = NDArray[Any]

_BLOCK_BYTES = 1 << 26


def evaluate(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a graph by name, for inputs by name (float32 and int32 arrays)."""
    values: dict[int, Array] = {id(graph.inputs[name]): inputs[name] for name in graph.inputs}
    last_use = {id(t): number for number, op in enumerate(graph.ops) for t in op.inputs}
    kept = {id(tensor) for tensor in graph.outputs.values()}
    for number, op in enumerate(graph.ops):
        values[id(op.output)] = _compute(op, values)
        for tensor in op.inputs:
            if last_use[id(tensor)] == number and id(tensor) not in kept:
                values.pop(id(tensor), None)
    return {name: values[id(tensor)] for name, tensor in graph.outputs.items()}


def _compute(op: Op, values: Mapping[int, Array]) -> Array:
    if op.kind == "fully_connected":
        return _fully_connected(op, values)
    if op.kind == "embedding_lookup":
        ids, weight = op.inputs
        return _rows_at(_constant(weight), values[id(ids)])
    operands = [
        tensor.constant.read() if tensor.constant is not None else values[id(tensor)]
        for tensor in op.inputs
    ]
    return _RULES[op.kind](operands, op.attrs)


def _fully_connected(op: Op, values: Mapping[int, Array]) -> Array:
    x, weight, *bias = op.inputs
    left = values[id(x)]
    constant = _constant(weight)
    out = np.empty((*left.shape[:-1], constant.shape[0]), np.float32)
    for start, stop in _blocks(constant):
        out[..., start:stop] = left @ constant.rows(start, stop).T
    for one in bias:
        out += _constant(one).read()
    return out


def _rows_at(weight: Constant, ids: Array) -> Array:
    return np.stack([weight.rows(int(i), int(i) + 1)[0] for i in ids.reshape(-1)])


def _blocks(constant: Constant) -> Iterator[tuple[int, int]]:
    rows, width = constant.shape
    step = max(1, _BLOCK_BYTES // (4 * width))
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def _constant(tensor: Tensor) -> Constant:
    assert tensor.constant is not None, "weights of these operations are constants"
    return tensor.constant


def _softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def _gelu(x: Array, *, approximate: bool) -> Array:
    if approximate:
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1.0 + np.tanh(inner)))
    erf = np.vectorize(math.erf, otypes=[np.float32])(x / math.sqrt(2.0))
    return np.asarray(0.5 * x * (1.0 + erf))


def _update_slice(x: Array, update: Array, starts: Array) -> Array:
    out: Array = x.copy()
    where = tuple(slice(int(s), int(s) + n) for s, n in zip(starts, update.shape, strict=True))
    out[where] = update
    return out


def _slice(x: Array, attrs: Mapping[str, Any]) -> Array:
    start, size = attrs["start"], attrs["size"]
    found: Array = np.take(x, range(start, start + size), axis=attrs["axis"])
    return found


_Rule = Callable[[list[Array], Mapping[str, Any]], Array]

# The operations of graph.ops; operands that are shapes or axes are in the attributes, or the last.
_RULES: dict[str, _Rule] = {
    "add": lambda x, a: x[0] + x[1],
    "batch_matmul": lambda x, a: x[0] @ x[1].swapaxes(-1, -2),
    "cast": lambda x, a: x[0].astype(np.float32),
    "concat": lambda x, a: np.concatenate(x, axis=a["axis"]),
    "cos": lambda x, a: np.cos(x[0]),
    "cumsum": lambda x, a: np.cumsum(x[0], axis=-1),
    "dynamic_update_slice": lambda x, a: _update_slice(*x),
    "gelu": lambda x, a: _gelu(x[0], approximate=a["approximate"]),
    "greater_equal": lambda x, a: x[0] >= x[1],
    "logistic": lambda x, a: 1.0 / (1.0 + np.exp(-x[0])),
    "mean": lambda x, a: x[0].mean(axis=-1, keepdims=True),
    "mul": lambda x, a: x[0] * x[1],
    "relu": lambda x, a: np.maximum(x[0], 0.0),
    "reshape": lambda x, a: x[0].reshape(a["shape"]),
    "rsqrt": lambda x, a: 1.0 / np.sqrt(x[0]),
    "select": lambda x, a: np.where(*x),
    "sin": lambda x, a: np.sin(x[0]),
    "slice": lambda x, a: _slice(x[0], a),
    "softmax": lambda x, a: _softmax(x[0]),
    "sub": lambda x, a: x[0] - x[1],
    "tanh": lambda x, a: np.tanh(x[0]),
    "transpose": lambda x, a: x[0].transpose(a["perm"]),
}
