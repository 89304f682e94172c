"""A family with recurrent states, a shared cache and layers without state, against plain numpy.

The family is tests/tiny/stateful.py. It runs in the evaluator and in the LiteRT interpreter; the
runtime's turn is in tests/e2e/test_states_in_runtime.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from litert_lm_builder.runtime.proto import executor_metadata_pb2
from numpy.typing import NDArray

from litertlm.bundle.metadata import executor_metadata
from litertlm.families import Signature
from litertlm.families.step import Step
from litertlm.graph import Graph, GraphError, Model, Tensor, ops
from litertlm.graph.evaluate import evaluate
from litertlm.graph.state import (
    KVCache,
    RecurrentState,
    key_name,
    state_bytes,
    state_name,
    state_tensors,
    value_name,
    zero_states,
)
from litertlm.graph.verify import verify
from parity.bundle import CACHE, PREFILL, Decoder
from tiny import stateful
from tiny.tokenizer import SPECIAL, VOCAB_SIZE

TOLERANCE = 2e-5  # of the largest logit
MASKED = np.float32(-0.7 * np.finfo(np.float32).max)


def text(seed: int, length: int = 45) -> NDArray[np.int32]:
    return np.random.RandomState(seed).randint(len(SPECIAL), VOCAB_SIZE, length).astype(np.int32)


class Evaluator:
    """Runs static graphs with the evaluator, call by call, and pads as the runtime does."""

    def __init__(self) -> None:
        model = stateful.model("static", cache=CACHE, prefill=PREFILL)
        self.graphs = {graph.name: graph for graph in model.graphs}
        self.states = zero_states(self.graphs["decode"])

    def call(self, name: str, tokens: NDArray[np.int32], start: int) -> NDArray[np.float32]:
        graph, count = self.graphs[name], len(tokens)
        length = graph.inputs["tokens"].shape[1]
        assert isinstance(length, int)
        positions = np.zeros(length, np.int32)
        positions[:count] = np.arange(start, start + count)
        mask = np.full((1, 1, length, CACHE), MASKED)
        for row in range(count):
            mask[..., row, : start + row + 1] = 0.0
        inputs = {"input_pos": positions, "mask": mask, **self.states}
        inputs["tokens"] = np.pad(tokens, (0, length - count))[None]
        outputs = evaluate(graph, inputs)
        self.states = {name: outputs[name] for name in self.states}
        return outputs.get("logits", np.empty(0, np.float32))


@pytest.mark.parametrize("calls", [[("prefill_8", 8), ("prefill_32", 30)], [("prefill_32", 5)], []])
def test_evaluator_with_padded_prefills(calls: list[tuple[str, int]]) -> None:
    tokens, evaluator, start = text(1), Evaluator(), 0
    for name, count in calls:
        evaluator.call(name, tokens[start : start + count], start)
        start += count
    logits = [evaluator.call("decode", tokens[i : i + 1], i)[0, 0] for i in range(start, 45)]
    assert_close(np.stack(logits), stateful.reference_logits(tokens)[start:])


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("prompt", [1, 2, 7, 8, 33, 44])
def test_interpreter(shapes: str, prompt: int, tmp_path: Path) -> None:
    tokens = text(prompt)
    logits = decoder_of(tmp_path, shapes).logits(tokens, prompt)
    assert_close(logits, stateful.reference_logits(tokens)[prompt - 1 :])


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("prompt", [1, 12])
def test_second_text_begins_clean_with_the_states_of_the_first(
    shapes: str, prompt: int, tmp_path: Path
) -> None:
    decoder = decoder_of(tmp_path, shapes)
    for seed in (3, 4):
        tokens = text(seed)
        logits = decoder.logits(tokens, prompt)
        assert_close(logits, stateful.reference_logits(tokens)[prompt - 1 :])


def test_quantized_weights_of_views(tmp_path: Path) -> None:
    tokens = text(5)
    logits = decoder_of(tmp_path, "static", "dynamic_int8").logits(tokens, 20)
    want = stateful.reference_logits(tokens)[19:]
    assert np.abs(logits - want).mean() < 0.05 * np.abs(want).max()


def decoder_of(folder: Path, shapes: str, recipe: str = "none") -> Decoder:
    target = folder / "stateful.litertlm"
    stateful.write_stateful_bundle(target, shapes, cache=CACHE, prefill=PREFILL, recipe=recipe)
    return Decoder(target)


def assert_close(have: NDArray[np.float32], want: NDArray[np.float32]) -> None:
    error = np.abs(have - want).max(axis=1) / np.abs(want).max()
    wrong = np.flatnonzero(~(error <= TOLERANCE))
    assert not wrong.size, f"wrong from row {wrong[0]} of {len(want)}: {error[wrong[0]]:.1e}"


def test_metadata_follows_from_the_states() -> None:
    message = executor_metadata_pb2.ExecutorMetadata()
    message.ParseFromString(executor_metadata(stateful.STATES, cache_length=64, max_context=512))
    types = executor_metadata_pb2.StateBuffer.Type
    found = [
        (b.prefill_input_name, types.Name(b.type), b.sequence_axis, b.maximum_sequence_length)
        for b in message.llm_executor_metadata.state_buffers
    ]
    assert found == [
        (key_name(0), "TYPE_GLOBAL_KEY_CACHE", 2, 64),
        (value_name(0), "TYPE_GLOBAL_VALUE_CACHE", 3, 64),
        (state_name("c", 1), "TYPE_LINEAR_ATTENTION", 0, 0),
        (state_name("r", 1), "TYPE_LINEAR_ATTENTION", 0, 0),
    ]
    recurrent = message.llm_executor_metadata.state_buffers[2]
    assert not recurrent.HasField("sequence_axis")
    assert recurrent.decode_output_name == state_name("c", 1)


def test_sizes_follow_from_the_states() -> None:
    cache = 2 * 100 * (8 + 4)  # heads, tokens, sizes of a key and of a value
    assert state_bytes(stateful.STATES, 100) == 4 * (cache + 2 * 32 + 32)
    assert stateful.family().state_bytes(100) == state_bytes(stateful.STATES, 100)
    convolution = KVCache(1, 64, value_dim=1)
    assert state_bytes([[convolution]], 100) == 4 * (100 * 64 + 100)


def test_two_states_of_one_name_are_rejected() -> None:
    twice = [(RecurrentState("c", (1, 2)), RecurrentState("c", (1, 2)))]
    with pytest.raises(GraphError, match="layer 0 declares two states of one name"):
        list(state_tensors(twice, 8))
    with pytest.raises(GraphError, match="one name"):
        list(state_tensors([(KVCache(1, 8), RecurrentState("k", (1, 2)))], 8))


def test_a_state_that_is_never_updated_is_rejected() -> None:
    step = Step(Signature("decode", 1, 8, logits=True), [(KVCache(1, 4),)], 8)
    with pytest.raises(GraphError, match="never updated"):
        step.finish()


def test_a_layer_without_a_cache_cannot_be_attended_to() -> None:
    step = Step(Signature("decode", 1, 8, logits=True), [()], 8)
    with pytest.raises(GraphError, match="layer 0 has no KV cache"):
        step.kv_cache(0)


def small_step() -> Step:
    """A graph with a cache and a recurrent state, updated as they should be."""
    states = [(KVCache(1, 4), RecurrentState("c", (1, 2, 4)))]
    step = Step(Signature("decode", 1, 8, logits=True), states, 8)
    x = ops.reshape(ops.cast_float(step.tokens), (1, 1, 1))
    x = ops.concat([x, x, x, x], 2)
    step.update_cache(0, ops.reshape(x, (1, 1, 1, 4)), ops.reshape(x, (1, 1, 4, 1)))
    rows = step.convolution_input(0, "c", x)
    keys, values = step.cache(0)
    scores = ops.softmax(ops.add(ops.batch_matmul(ops.reshape(x, (1, 1, 1, 4)), keys), step.mask))
    y = ops.reshape(ops.batch_matmul(scores, values), (1, 1, 4))
    step.graph.output("logits", ops.concat([y, rows], 1))
    return step


def recurrent_is_not_cleared(graph: Graph) -> None:
    clears = next(op for op in graph.ops if graph.inputs[state_name("c", 0)] in op.inputs)
    replace(graph, clears.outputs[0], graph.inputs[state_name("c", 0)])


def recurrent_is_cleared_by_a_constant(graph: Graph) -> None:
    state = graph.inputs[state_name("c", 0)]
    clears = next(op for op in graph.ops if state in op.inputs)
    clears.inputs = (state, ops.scalar(state, 1.0))


def recurrent_is_returned_as_it_came(graph: Graph) -> None:
    graph.outputs[state_name("c", 0)] = graph.inputs[state_name("c", 0)]


def recurrent_is_not_returned(graph: Graph) -> None:
    graph.outputs["other"] = graph.outputs.pop(state_name("c", 0))


def cache_is_read_before_it_is_updated(graph: Graph) -> None:
    replace(graph, graph.outputs[key_name(0)], graph.inputs[key_name(0)])


def cache_is_updated_twice(graph: Graph) -> None:
    keys = graph.outputs[key_name(0)]
    update = next(op for op in graph.ops if keys in op.outputs)
    graph.outputs[key_name(0)] = ops.dynamic_update_slice(keys, *update.inputs[1:])


def cache_is_updated_and_not_returned(graph: Graph) -> None:
    del graph.outputs[key_name(0)]


def replace(graph: Graph, old: Tensor, new: Tensor) -> None:
    for op in graph.ops:
        op.inputs = tuple(new if t is old else t for t in op.inputs)


BREAKS = [
    recurrent_is_not_cleared,
    recurrent_is_cleared_by_a_constant,
    recurrent_is_returned_as_it_came,
    recurrent_is_not_returned,
    cache_is_read_before_it_is_updated,
    cache_is_updated_twice,
    cache_is_updated_and_not_returned,
]


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda f: f.__name__)
def test_broken_state_is_rejected(breaks: Callable[[Graph], None]) -> None:
    graph = small_step().finish()
    verify(Model((graph,)))
    breaks(graph)
    graph.prune()
    with pytest.raises(GraphError, match=state_name("", 0)[:-2]):
        verify(Model((graph,)))


def test_a_cache_that_is_only_read_is_accepted() -> None:
    step = Step(Signature("decode", 1, 8, logits=True), [(KVCache(1, 4),)], 8)
    q = ops.reshape(ops.cast_float(ops.concat([step.tokens] * 4, 0)), (1, 1, 1, 4))
    keys, values = step.cache(0)
    scores = ops.softmax(ops.add(ops.batch_matmul(q, keys), step.mask))
    step.graph.output("logits", ops.batch_matmul(scores, values))
    step.graph.prune()
    del step.graph.inputs["input_pos"]
    verify(Model((step.graph,)))
