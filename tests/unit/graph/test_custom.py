"""Custom operators of the runtime: their formulas, and what a file says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from litertlm.graph import DType, Graph, Model, ops
from litertlm.graph.evaluate import evaluate
from litertlm.graph.ops import OPERATIONS
from litertlm.graph.verify import verify
from unit.graph.op_cases import weight
from unit.graph.test_ops import NOT_IN_THE_INTERPRETER, tflite_of

HEADS, KEY, VALUE, TOKENS = 2, 3, 5, 4
EXPERTS, WIDTH, HIDDEN, CHOSEN = 3, 4, 6, 2


def gated_delta() -> Graph:
    graph = Graph("main")
    gates = (1, HEADS, TOKENS)
    shapes = [(*gates, KEY), (*gates, KEY), (*gates, VALUE), gates, gates, (1, HEADS, KEY, VALUE)]
    inputs = [graph.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    core, state = ops.gated_delta_update(*inputs)
    graph.output("core", core)
    graph.output("state", state)
    return graph


def moe() -> Graph:
    graph = Graph("main")
    x = graph.input("x", (1, TOKENS, HIDDEN))
    weights = graph.input("weights", (1, TOKENS, CHOSEN))
    indices = graph.input("indices", (1, TOKENS, CHOSEN), DType.INT32)
    gate = weight(x, WIDTH, EXPERTS, 1, HIDDEN, name="gate")
    up = weight(x, WIDTH, EXPERTS, 1, HIDDEN, name="up")
    down = weight(x, HIDDEN, EXPERTS, 1, WIDTH)
    scale = weight(x, 1, 1, 1, EXPERTS)
    graph.output("y", ops.moe(x, weights, indices, gate, up, down, scale, approximate=True))
    return graph


GRAPHS = {"gated_delta_update": gated_delta, "moe": moe}


def random(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(len(shape)).uniform(-1, 1, shape).astype(np.float32)


def test_gated_delta_update_is_the_rule_of_the_paper() -> None:
    graph = gated_delta()
    inputs = {name: random(*map(int, t.shape)) for name, t in graph.inputs.items()}
    found = evaluate(graph, inputs)
    q, k, v, beta, g, state = (inputs[f"x{i}"].astype(np.float64)[0] for i in range(6))
    for head in range(HEADS):
        memory = state[head]
        for t in range(TOKENS):
            # S_t = exp(g) (I - beta k k^T) S_{t-1} + beta k v^T, with keys as rows
            forget = np.eye(KEY) - beta[head, t] * np.outer(k[head, t], k[head, t])
            memory = np.exp(g[head, t]) * forget @ memory
            memory = memory + beta[head, t] * np.outer(k[head, t], v[head, t])
            np.testing.assert_allclose(
                found["core"][0, head, t], q[head, t] @ memory, rtol=1e-4, atol=1e-5
            )
        np.testing.assert_allclose(found["state"][0, head], memory, rtol=1e-4, atol=1e-5)
    assert np.array_equal(inputs["x5"], random(1, HEADS, KEY, VALUE))  # not overwritten


def test_moe_is_the_weighted_sum_of_experts() -> None:
    graph = moe()
    x, weights = random(1, TOKENS, HIDDEN), random(1, TOKENS, CHOSEN)
    indices = np.array([[[0, 1], [2, 0], [1, 1], [2, 1]]], np.int32)
    found = evaluate(graph, {"x": x, "weights": weights, "indices": indices})["y"]
    constants = {c.name: c.read().astype(np.float64) for c in Model((graph,)).constants()}
    gate, up = constants["gate4x3x1x6"][:, :, 0], constants["up4x3x1x6"][:, :, 0]
    down = constants["weight6x3x1x4"][:, :, 0]
    scale = constants["weight1x1x1x3"][0, 0, 0]
    a = np.einsum("si,oei->seo", x[0], gate)
    gelu = 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))
    inner = gelu * np.einsum("si,oei->seo", x[0], up)
    every = np.einsum("sei,oei->seo", inner, down) * scale[:, None]
    want = np.zeros((TOKENS, HIDDEN))
    for s in range(TOKENS):
        for j in range(CHOSEN):
            want[s] += weights[0, s, j] * every[s, indices[0, s, j]]
    np.testing.assert_allclose(found[0], want, rtol=1e-4, atol=1e-5)


OPTIONS = {
    "gated_delta_update": {"mode": 0, "state_dtype": "float32"},
    "moe": {
        "num_experts": EXPERTS,
        "num_active_experts": CHOSEN,
        "model_dim": HIDDEN,
        "hidden_dim": WIDTH,
        "activation": "gelu_tanh",
        "weight_type": "fp32",
        "renormalized_top_weights": True,
    },
}


@pytest.mark.parametrize("kind", sorted(NOT_IN_THE_INTERPRETER))
def test_a_file_names_the_operator_and_its_options(kind: str, tmp_path: Path) -> None:
    graph = GRAPHS[kind]()
    verify(Model((graph,)))
    data = tflite_of(graph, tmp_path / "model.tflite")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    operators = [(model.operatorCodes[op.opcodeIndex], op) for op in model.subgraphs[0].operators]
    code, operator = next(pair for pair in operators if pair[0].customCode)
    assert code.customCode.decode() == kind
    assert code.builtinCode == code.deprecatedBuiltinCode == schema.BuiltinOperator.CUSTOM
    assert flexbuffers.Loads(bytes(operator.customOptions)) == OPTIONS[kind]
    assert len(operator.outputs) == len(graph.ops[-1].outputs)


def test_every_custom_operation_is_covered() -> None:
    assert set(GRAPHS) == set(OPTIONS) == NOT_IN_THE_INTERPRETER < set(OPERATIONS)
