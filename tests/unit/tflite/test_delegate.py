"""Copies at the ends of XNNPACK's partitions. The real interpreter is asked in
tests/parity/test_partitions.py."""

from __future__ import annotations

import numpy as np
import pytest

from litertlm.graph import DType, Graph, GraphError, Model, ops, table
from litertlm.tflite.delegate import separate_copies


def kinds(graph: Graph) -> list[str]:
    separate_copies(Model((graph,)))
    return [op.kind for op in graph.ops]


def test_a_copy_within_a_partition_stays() -> None:
    graph = Graph("decode")
    x = graph.input("x", (2, 3))
    graph.output("y", ops.exp(ops.reshape(ops.exp(x), (3, 2))))
    assert kinds(graph) == ["exp", "reshape", "exp"]


def test_both_ends_of_a_copy_are_separated_from_what_is_outside() -> None:
    graph = Graph("decode")
    x = graph.input("x", (2, 3))
    graph.output("y", ops.reshape(x, (3, 2)))
    assert kinds(graph) == ["mul", "reshape", "mul"]
    assert [op.output.name for op in graph.ops] == ["t0", "t1", "t2"]
    assert graph.outputs["y"] is graph.ops[-1].output


def test_an_input_that_several_copies_read_is_multiplied_once() -> None:
    graph = Graph("decode")
    x = graph.input("x", (2, 3))
    graph.output("y", ops.exp(ops.concat([x, x], 0)))
    assert kinds(graph) == ["mul", "concat", "exp"]


def test_integers_are_copied_by_tflite() -> None:
    graph = Graph("decode")
    x = graph.input("x", (2, 3), DType.INT32)
    graph.output("y", ops.cast_float(ops.reshape(x, (3, 2))))
    assert kinds(graph) == ["reshape", "cast"]


def test_a_copy_that_joins_two_partitions_is_an_error() -> None:
    graph = Graph("decode")
    x = graph.input("x", (2, 3))
    early = ops.exp(x)
    rows = graph.constant(table("rows", np.zeros(2, np.int32)))
    late = ops.exp(ops.gather(early, rows, 0))  # XNNPACK has no GATHER
    graph.output("y", ops.exp(ops.concat([early, late], 0)))
    with pytest.raises(GraphError, match="which an earlier XNNPACK partition computes"):
        separate_copies(Model((graph,)))
