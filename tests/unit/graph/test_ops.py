"""Every operation: the LiteRT interpreter computes what our numpy evaluation does, in the shapes
that the rule says, for static and dynamic sizes; and what does not fit is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from litertlm.graph import Graph, GraphError, Model, Shape, ops
from litertlm.graph.evaluate import evaluate
from litertlm.graph.ops import OPERATIONS
from litertlm.graph.printer import dump
from litertlm.graph.verify import verify
from litertlm.quantize.encodings import FLOAT32
from litertlm.tflite import plan, write
from litertlm.tflite.operators import OPERATORS
from unit.graph.op_cases import BOOL, CASES, FLOAT, INT, REFUSALS, Call, Case

# Without a case, since the LiteRT interpreter lacks these operators of LiteRT-LM's delegate; they
# are compared with formulas in test_custom.py.
NOT_IN_THE_INTERPRETER = {"gated_delta_update", "moe"}

NUMPY_TYPES = {FLOAT: np.float32, INT: np.int32, BOOL: np.bool_}
RESOLVERS = {
    "delegate": OpResolverType.AUTO,
    "kernels": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def tflite_of(graph: Graph, path: Path) -> bytes:
    layout = plan(Model((graph,)), lambda c: FLOAT32, cache_length=4, description="test")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.ftruncate(fd, layout.nbytes)
        write(fd, 0, layout, threads=1, advance=lambda nbytes: None)
    finally:
        os.close(fd)
    return path.read_bytes()


def is_dynamic(case: Case) -> bool:
    return any(not isinstance(size, int) for x in case.inputs for size in x.shape)


def sizes(shape: Shape, symbols: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else size.at(symbols) for size in shape)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_interpreter_computes_what_the_evaluation_does(case: Case, tmp_path: Path) -> None:
    graph = case.graph()
    verify(Model((graph,)))
    assert dump(Model((graph,)))
    model = tflite_of(graph, tmp_path / "model.tflite")
    calls: list[dict[str, int]] = [{"S": 1, "C": 4}, {"S": 5, "C": 7}, {"S": 2, "C": 2}]
    for resolver in RESOLVERS.values():
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
        runner = interpreter.get_signature_runner("main")
        for symbols in calls if is_dynamic(case) else calls[:1]:
            inputs = {f"x{i}": x.values(i, symbols) for i, x in enumerate(case.inputs)}
            want = evaluate(graph, inputs)
            have: dict[str, NDArray[Any]] = runner(**inputs)
            assert set(have) == set(want)
            for name, tensor in graph.outputs.items():
                assert want[name].shape == sizes(tensor.shape, symbols)
                assert want[name].dtype == NUMPY_TYPES[tensor.dtype]
                assert have[name].dtype == want[name].dtype
                if case.exact:
                    np.testing.assert_array_equal(have[name], want[name])
                else:
                    np.testing.assert_allclose(have[name], want[name], rtol=2e-4, atol=2e-5)
                    assert have[name].shape == want[name].shape


def test_every_operation_has_an_operator_and_every_operator_an_operation() -> None:
    assert set(OPERATORS) == set(OPERATIONS)
    assert all(kind == operation.kind for kind, operation in OPERATIONS.items())


def test_every_operation_has_a_case_and_a_refusal() -> None:
    kinds = {op.kind for case in CASES for op in case.graph().ops}
    assert kinds == set(OPERATIONS) - NOT_IN_THE_INTERPRETER
    assert {kind for kind, _ in REFUSALS} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("kind", "call"), [pytest.param(*r, id=f"{r[0]}-{i}") for i, r in enumerate(REFUSALS)]
)
def test_what_does_not_fit_is_refused(kind: str, call: Call) -> None:
    graph = Graph("decode")
    with pytest.raises(GraphError, match=rf"^decode: {kind}\b.* does not take .*x0"):
        call(graph)
    assert not [op for op in graph.ops if op.kind == kind]


def test_numbers_alone_and_missing_axes_are_refused() -> None:
    x = Graph("decode").input("x", (2, 3))
    with pytest.raises(GraphError, match="must be a tensor"):
        ops.add(1.0, 2.0)
    with pytest.raises(GraphError, match="no axis 2"):
        ops.mean(x, [2])
    with pytest.raises(GraphError, match="no axis -3"):
        ops.concat([x, x], -3)
