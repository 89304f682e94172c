"""Compute a graph with numpy in float32: the reference that converted models are compared with.

Nothing is quantized. Weights are read from the checkpoint in blocks of rows, so that only the
activations and one block are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.ops import OPERATIONS
from litertlm.graph.types import Constant, Graph, Op, Tensor

Array = NDArray[Any]


def evaluate(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a graph by name, for inputs by name (float32, int32 and bool arrays).

    Dynamic axes take the sizes of the inputs.
    """
    values = {tensor: inputs[name] for name, tensor in graph.inputs.items()}
    last_use = {t: number for number, op in enumerate(graph.ops) for t in op.inputs}
    kept = set(graph.outputs.values())
    for number, op in enumerate(graph.ops):
        values.update(zip(op.outputs, _compute(op, values), strict=True))
        for tensor in op.inputs:
            if last_use[tensor] == number and tensor not in kept:
                values.pop(tensor, None)
    return {name: values[tensor] for name, tensor in graph.outputs.items()}


def _compute(op: Op, values: Mapping[Tensor, Array]) -> tuple[Array, ...]:
    operation = OPERATIONS[op.kind]
    operands: list[Array | Constant] = []
    for index, tensor in enumerate(op.inputs):
        constant = tensor.constant
        if constant is None:
            operands.append(values[tensor])
        else:
            operands.append(constant if index == operation.rows_of else constant.read())
    with np.errstate(all="ignore"):  # as the runtime computes: 1 / 0 is infinite
        result = operation.evaluate(operands, op.attrs)
    return result if isinstance(result, tuple) else (result,)
