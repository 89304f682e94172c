"""Graphs that cannot work are caught: by the operation that builds them, or by the verifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from litertlm.graph import Dim, DType, Graph, GraphError, Model, Op, Tensor, ops, table
from litertlm.graph.printer import dump
from litertlm.graph.state import Role, StateTensor, key_name
from litertlm.graph.verify import verify

S, C = Dim("S"), Dim("C")
KEYS = key_name(0)
WEIGHT = replace(table("weight", np.ones((4, 4), np.float32)), weight=True)


def small_graph(name: str = "decode") -> Graph:
    """x [1, S, 4] through a linear layer, and a cache that it updates."""
    graph = Graph(name)
    x = graph.input("x", (1, S, 4))
    positions = graph.input("input_pos", (4,), DType.INT32)
    cache = graph.state(StateTensor(KEYS, Role.KEY, (1, 1, C, 4), 2))
    weight = graph.constant(WEIGHT)
    y = ops.fully_connected(x, weight)
    update = ops.reshape(y, (1, 1, S, 4))
    graph.output(KEYS, ops.dynamic_update_slice(cache, update, positions))
    graph.output("logits", ops.softmax(y))
    return graph


def test_good_graph_passes_and_prints() -> None:
    model = Model((small_graph("prefill"), small_graph("decode")))
    verify(model)
    text = dump(model)
    assert "signature prefill (4 operations)" in text
    assert "%0 f32[1,S,4] = fully_connected(x, weight)" in text
    assert text.endswith("weights (1)\n  weight f32[4,4]\n")
    assert "output logits = %3" in text


def wrong_shape(graph: Graph) -> None:
    graph.ops[0].output.shape = (1, S, 5)


def wrong_dtype(graph: Graph) -> None:
    graph.ops[0].output.dtype = DType.INT32


def dangling_operand(graph: Graph) -> None:
    softmax = graph.ops[3]
    graph.ops[3] = Op(
        "softmax", (Tensor(graph, "lost", (1, S, 4), DType.FLOAT32),), softmax.outputs, {}
    )


def used_before_defined(graph: Graph) -> None:
    graph.ops.insert(0, graph.ops.pop())


def unused_operation(graph: Graph) -> None:
    ops.tanh(graph.inputs["x"])


def unused_weight(graph: Graph) -> None:
    graph.constant(table("spare", np.ones((4, 4), np.float32)))


def unused_input(graph: Graph) -> None:
    graph.input("spare", (1, 4))


def missing_output(graph: Graph) -> None:
    graph.outputs["extra"] = Tensor(graph, "lost", (1, 4), DType.FLOAT32)


def cache_not_returned(graph: Graph) -> None:
    graph.outputs["other"] = graph.outputs.pop(KEYS)


def cache_of_another_shape(graph: Graph) -> None:
    graph.outputs[KEYS] = graph.outputs["logits"]


def cache_read_twice(graph: Graph) -> None:
    graph.output("copy", ops.tanh(graph.inputs[KEYS]))


def constant_of_another_graph(graph: Graph) -> None:
    other = Graph("other").constant(table("stranger", np.ones((4, 4), np.float32)))
    first = graph.ops[0]
    graph.ops[0] = Op(first.kind, (first.inputs[0], other), first.outputs, {})


def weight_used_twice(graph: Graph) -> None:
    x = graph.inputs["x"]
    graph.output("again", ops.fully_connected(x, graph.constants[WEIGHT]))


def written_twice(graph: Graph) -> None:
    graph.ops.append(graph.ops[3])


BREAKS = [
    wrong_shape,
    wrong_dtype,
    dangling_operand,
    used_before_defined,
    unused_operation,
    unused_weight,
    unused_input,
    missing_output,
    cache_not_returned,
    cache_of_another_shape,
    cache_read_twice,
    constant_of_another_graph,
    weight_used_twice,
    written_twice,
]


def test_a_weight_that_is_declared_as_reused_may_be_read_twice() -> None:
    graph = Graph("decode")
    x = graph.input("x", (1, 4))
    weight = graph.constant(replace(WEIGHT, reused=True))
    graph.output("y", ops.fully_connected(ops.fully_connected(x, weight), weight))
    verify(Model((graph,)))


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda f: f.__name__)
def test_broken_graph_is_rejected(breaks: Callable[[Graph], None]) -> None:
    graph = small_graph()
    breaks(graph)
    with pytest.raises(GraphError, match="decode"):
        verify(Model((graph,)))


def test_two_signatures_of_one_name_are_rejected() -> None:
    with pytest.raises(GraphError, match="decode appears 2 times"):
        verify(Model((small_graph(), small_graph())))


def test_operation_on_misfitting_shapes_is_rejected_where_it_is_built() -> None:
    graph = Graph("decode")
    x = graph.input("x", (1, S, 4))
    ids = graph.input("ids", (S,), DType.INT32)
    weight = graph.constant(table("weight", np.ones((3, 5), np.float32)))
    builds: list[Callable[[], Tensor]] = [
        lambda: ops.fully_connected(x, weight),
        lambda: ops.add(x, graph.input("y", (1, S, 3))),
        lambda: ops.add(x, ids),
        lambda: ops.reshape(x, (1, S, 5)),
        lambda: ops.transpose(x, (0, 0, 1)),
        lambda: ops.slice_axis(x, -1, 2, 3),
        lambda: ops.batch_matmul(x, graph.input("z", (1, S, 7))),
        lambda: ops.concat([x, graph.input("w", (1, S, 5))], 1),
        lambda: ops.embedding_lookup(x, weight),
        lambda: ops.dynamic_update_slice(x, x, ids),
    ]
    for build in builds:
        with pytest.raises(GraphError):
            build()
