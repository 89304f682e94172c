"""Add what int4 levels lack that are stored minus 1 (quantize/int4_grid.py). Exact.

With s the scale and m = l - 1 the stored levels of a block, and x its inputs,

    sum(s l x) = sum(s m x) + s sum(x)

so a layer needs one more product, of the sums of its inputs in blocks with the scales of the
blocks that are stored so: a matrix 32 times as small, in int8.
"""

from __future__ import annotations

from collections.abc import Collection

from litertlm.graph import Constant, Graph, Model, Op, Tensor, ops
from litertlm.quantize.int4_grid import BLOCK, grid_shifts


def add_shifts(model: Model, chosen: Collection[Constant]) -> set[Constant]:
    """Add the missing products, in place, to the linear layers whose weight is in `chosen`.

    Returns:
        the weights of the added products.
    """
    shifts: dict[Constant, Constant] = {}
    for graph in model.graphs:
        _add_to_graph(graph, chosen, shifts)
    return set(shifts.values())


def _add_to_graph(
    graph: Graph, chosen: Collection[Constant], shifts: dict[Constant, Constant]
) -> None:
    before, graph.ops = graph.ops, []
    sums: dict[Tensor, Tensor] = {}
    for op in before:
        graph.ops.append(op)
        weight = op.inputs[1].constant if op.kind == "fully_connected" else None
        if weight is not None and weight in chosen:
            _add_product(op, weight, shifts, sums)
    graph.number_ops()


def _add_product(
    op: Op, weight: Constant, shifts: dict[Constant, Constant], sums: dict[Tensor, Tensor]
) -> None:
    x, result = op.inputs[0], op.output
    graph = x.graph
    if x not in sums:
        sums[x] = _block_sums(x)
    if weight not in shifts:
        shifts[weight] = grid_shifts(weight)
    product = Tensor(graph, result.name, result.shape, result.dtype)
    op.outputs = (product,)
    missing = ops.fully_connected(sums[x], graph.constant(shifts[weight]))
    ops.add(product, missing)
    graph.ops[-1].outputs = (result,)  # what the other operations read


def _block_sums(x: Tensor) -> Tensor:
    """The sums of blocks of the last axis: [1, S, n] to [1, S, n / BLOCK]."""
    *rows, width = x.shape
    assert isinstance(width, int)
    blocks = ops.reshape(x, (*rows, width // BLOCK, BLOCK))
    return ops.reduce_sum(blocks, [len(rows) + 1], keepdims=False)
