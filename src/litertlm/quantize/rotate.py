"""Rotate the inputs of linear layers, so that activations quantize well. Exact and data-free.

Most of the error of dynamic int8 comes from quantizing activations: a few outlier channels take
the range of a token. With H a symmetric Hadamard matrix of order 32, H H = 32 I, so

    x W^T = (x H) (W H / 32)^T

holds exactly, and x H spreads every outlier over the 32 channels of its block (the idea of
QuaRot, Ashkboos et al. 2024, in blocks and without touching the residual stream). The model
pays one small float matmul for each tensor that linear layers read; the weights are rotated
while they are streamed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from litertlm.graph import Constant, Graph, Model, Tensor, ops, table
from litertlm.quantize.kernels import absmax_rows

BLOCK = 32

# One random bit a channel. Without the signs, channels that are alike would add up to an outlier.
_SIGNS = 0xCE2279DE

# Weights are rounded to this many levels of their row's absmax before they are rotated. Sums of
# 32 such integers are below 2**24, hence exact in float32 in any order: the same bytes whatever
# BLAS numpy has.
_LEVELS = np.float32(1 << 18)

# Rows of one small matmul. Larger ones make OpenBLAS start threads of its own, which fight with
# ours and take five times as long.
_TILE = 128


@cache
def hadamard() -> NDArray[np.float32]:
    """A symmetric Hadamard matrix, [BLOCK, BLOCK]: Sylvester's with random signs on both sides."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < BLOCK:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    bits = (_SIGNS >> np.arange(BLOCK - 1, -1, -1)) & 1
    signs = (1 - 2 * bits).astype(np.float32)
    matrix = matrix * signs * signs[:, None]
    matrix.flags.writeable = False
    return matrix


def rotate(model: Model, chosen: Collection[Constant]) -> None:
    """Rotate, in place, the linear layers whose weight is in `chosen` and as wide as blocks."""
    matrix = table(f"hadamard{BLOCK}", hadamard())
    rotated: dict[Constant, Constant] = {}
    for graph in model.graphs:
        _rotate_graph(graph, matrix, chosen, rotated)


def _rotate_graph(
    graph: Graph,
    matrix: Constant,
    chosen: Collection[Constant],
    rotated: dict[Constant, Constant],
) -> None:
    before, graph.ops = graph.ops, []
    inputs: dict[Tensor, Tensor] = {}
    for op in before:
        weight = op.inputs[1].constant if op.kind == "fully_connected" else None
        if weight is not None and weight in chosen and weight.shape[1] % BLOCK == 0:
            x = op.inputs[0]
            if x not in inputs:
                inputs[x] = _rotate_input(x, graph.constant(matrix))
            if weight not in rotated:
                rotated[weight] = rotated_weight(weight)
            del graph.constants[weight]
            replacement = graph.constant(rotated[weight])
            op.inputs = (inputs[x], replacement, *op.inputs[2:])
        graph.ops.append(op)
    graph.number_ops()


def _rotate_input(x: Tensor, matrix: Tensor) -> Tensor:
    """x [1, S, n] H: [1, S, n]."""
    _, s, width = x.shape
    assert isinstance(width, int)
    blocks = ops.reshape(x, (1, s * (width // BLOCK), BLOCK))
    return ops.reshape(ops.fully_connected(blocks, matrix), x.shape)


def rotated_weight(weight: Constant) -> Constant:
    """W H / 32, [out, in], computed block of rows by block of rows."""
    matrix = hadamard()

    def rows(start: int, stop: int) -> NDArray[np.float32]:
        x = weight.rows(start, stop)
        step = absmax_rows(x)[:, None] / _LEVELS
        step[step == 0] = 1
        np.rint(np.divide(x, step, out=x), out=x)
        y = _times(x.reshape(-1, BLOCK), matrix).reshape(x.shape)
        y *= step / np.float32(BLOCK)
        return y

    return replace(weight, rows=rows)


def _times(x: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """x [n, BLOCK] times `matrix`, by matmuls of `_TILE` rows and a smaller one."""
    y = np.empty_like(x)
    tiled = len(x) - len(x) % _TILE
    np.matmul(x[:tiled].reshape(-1, _TILE, BLOCK), matrix, out=y[:tiled].reshape(-1, _TILE, BLOCK))
    np.matmul(x[tiled:], matrix, out=y[tiled:])
    return y
