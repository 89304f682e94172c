"""The runtime's custom operators compute what our numpy evaluation does.

A model of one attention layer and one custom operation: an engine answers greedily, and so does
the evaluator, token by token.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import litert_lm
import numpy as np
import pytest
from litert_lm_builder.runtime.proto import llm_metadata_pb2
from numpy.typing import NDArray
from tokenizers import Tokenizer

from litertlm.bundle import metadata
from litertlm.bundle.tokenizer_section import packed_tokenizer
from litertlm.bundle_format.constants import EXECUTOR_METADATA, LLM_METADATA
from litertlm.families import Signature, blocks
from litertlm.families.step import Step
from litertlm.graph import Constant, Dim, DType, Graph, Model, Tensor, ops
from litertlm.graph.evaluate import evaluate
from litertlm.graph.state import KVCache, LayerStates, RecurrentState, zero_states
from litertlm.graph.verify import verify
from litertlm.quantize import RECIPES, apply
from litertlm.services.bundle_file import PREFILL_DECODE
from litertlm.services.verify.stub_bundle import write_bundle
from litertlm.tflite import plan
from tiny.tokenizer import EOS, VOCAB_SIZE, tokenizer_json

HIDDEN, HEADS, HEAD_DIM = 32, 2, 16
EXPERTS, CHOSEN, WIDTH = 4, 2, 24
CACHE, TOKENS = 128, 16
PROMPTS = ("What is the capital of the valley? The river", "Apples")
STATE = RecurrentState("r", (1, HEADS, HEAD_DIM, HEAD_DIM))


class TinyModel:
    """Graphs of one custom operation, which share random weights."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        second: tuple[RecurrentState, ...] = (STATE,) if kind == "gated_delta_update" else ()
        self.states: LayerStates = ((KVCache(HEADS, HEAD_DIM),), second)
        self.constants: dict[str, Constant] = {}

    def weight(self, graph: Graph, name: str, *shape: int) -> Tensor:
        if name not in self.constants:
            random = np.random.RandomState(zlib.crc32(name.encode()))
            width = 1 if name == "embedding" else shape[-1]
            values = (random.standard_normal(shape) * (1.5 / width**0.5)).astype(np.float32)
            self.constants[name] = Constant(
                name, shape, DType.FLOAT32, lambda a, b: values[a:b].copy()
            )
        return graph.constant(self.constants[name])

    def linear(self, x: Tensor, name: str, out: int) -> Tensor:
        return ops.fully_connected(x, self.weight(x.graph, name, out, HIDDEN))

    def graph(self, signature: Signature) -> Graph:
        step = Step(signature, self.states, 512)
        s, linear = signature.tokens, self.linear
        table = self.weight(step.graph, "embedding", VOCAB_SIZE, HIDDEN)
        ids = ops.reshape(step.tokens, (s,))
        x = ops.reshape(ops.embedding_lookup(ids, table), (1, s, HIDDEN))
        q, k = (blocks.split_heads(linear(x, name, HIDDEN), HEADS) for name in "qk")
        v = blocks.split_value_heads(linear(x, "v", HIDDEN), HEADS)
        y = blocks.attention(step, 0, q, k, v, scale=HEAD_DIM**-0.5)
        x = ops.add(x, linear(y, "o", HIDDEN))
        if self.kind == "gated_delta_update":
            x = ops.add(x, linear(self.gated_delta(step, x), "out", HIDDEN))
        else:
            x = ops.add(x, self.moe(x, approximate=self.kind == "moe with tanh"))
        x = ops.mul(x, ops.rsqrt(ops.add(ops.mean_last(ops.square(x)), 1e-6)))
        if signature.logits:
            step.graph.output("logits", linear(ops.mul(x, 3.0), "head", VOCAB_SIZE))
        return step.finish()

    def moe(self, x: Tensor, *, approximate: bool) -> Tensor:
        top, indices = ops.top_k(self.linear(x, "router", EXPERTS), CHOSEN)
        weight = partial(self.weight, x.graph)
        gate, up = (weight(name, WIDTH, EXPERTS, 1, HIDDEN) for name in ("gate", "up"))
        down = weight("down", HIDDEN, EXPERTS, 1, WIDTH)
        scale = weight("scale", 1, 1, 1, EXPERTS)
        weights = ops.softmax(top)
        return ops.moe(x, weights, indices, gate, up, down, scale, approximate=approximate)

    def gated_delta(self, step: Step, x: Tensor) -> Tensor:
        s, real = step.signature.tokens, step.real_tokens()

        def heads(name: str) -> Tensor:
            return blocks.split_heads(self.linear(x, name, HIDDEN), HEADS)

        def normalized(y: Tensor) -> Tensor:
            return ops.mul(y, ops.rsqrt(ops.add(ops.reduce_sum(ops.square(y), [-1]), 1e-6)))

        def gate(name: str) -> Tensor:
            return ops.transpose(self.linear(x, name, HEADS), (0, 2, 1))

        beta, decay = ops.logistic(gate("beta")), ops.neg(ops.softplus(gate("decay")))
        if real is not None:  # padding changes nothing
            row = ops.reshape(real, (1, 1, s))
            beta, decay = ops.mul(beta, row), ops.mul(decay, row)
        q, k = normalized(heads("dq")), normalized(heads("dk"))
        core, state = ops.gated_delta_update(
            q, k, heads("dv"), beta, decay, step.recurrent(1, STATE.name)
        )
        step.update_recurrent(1, STATE.name, state)
        return ops.reshape(ops.transpose(core, (0, 2, 1, 3)), (1, s, HIDDEN))


def write(model: TinyModel, shapes: str, target: Path) -> None:
    length = Dim("C") if shapes == "dynamic" else CACHE
    sizes = {"prefill": Dim("S")} if shapes == "dynamic" else {"prefill_8": 8, "prefill_32": 32}
    signatures = [Signature(name, s, length, logits=False) for name, s in sizes.items()]
    signatures.append(Signature("decode", 1, length, logits=True))
    built = Model(tuple(map(model.graph, signatures)))
    verify(built)
    layout = plan(built, apply(built, RECIPES["none"]), cache_length=CACHE, description="custom")
    kind, tokenizer = packed_tokenizer("huggingface", tokenizer_json(adds_bos=False))
    executor = metadata.executor_metadata(
        model.states, cache_length=CACHE if shapes == "static" else None, max_context=512
    )
    llm = llm_metadata_pb2.LlmMetadata(max_num_tokens=CACHE)
    llm.llm_model_type.generic_model.SetInParent()
    llm.stop_tokens.add().token_ids.ids.append(EOS)
    contents = {
        LLM_METADATA: bytes(llm.SerializeToString(deterministic=True)),
        EXECUTOR_METADATA: executor,
        kind: tokenizer,
    }
    write_bundle(target, contents, {PREFILL_DECODE: layout})


def expected(model: TinyModel, prompt: str) -> list[str]:
    """The evaluator's greedy answer; every token wins clearly, or rounding would decide it."""
    tokenizer = Tokenizer.from_str(tokenizer_json(adds_bos=False).decode())
    graph = model.graph(Signature("decode", 1, CACHE, logits=True))
    states = zero_states(graph)
    ids: list[int] = tokenizer.encode(prompt).ids
    start = len(ids)
    for position in range(start + TOKENS - 1):
        mask = np.full((1, 1, 1, CACHE), -0.7 * np.finfo(np.float32).max, np.float32)
        mask[..., : position + 1] = 0.0
        call: dict[str, NDArray[np.generic]] = {
            "tokens": np.array([[ids[position]]], np.int32),
            "input_pos": np.array([position], np.int32),
            "mask": mask,
        }
        outputs = evaluate(graph, {**call, **states})
        states = {name: outputs[name] for name in states}
        if position == len(ids) - 1:
            logits = outputs["logits"][0, 0]
            first, second = np.sort(logits)[:-3:-1]
            assert first - second > 1e-3, "change the prompt"
            assert logits.argmax() != EOS, "change the prompt"
            ids.append(int(logits.argmax()))
    return [tokenizer.decode([i], skip_special_tokens=False) for i in ids[start:]]


def answers(bundle: Path, prompts: Sequence[str]) -> list[list[str]]:
    """The runtime's greedy answers, each in a session of its own."""
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    found = []
    with litert_lm.Engine(
        str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=":nocache"
    ) as engine:
        for prompt in prompts:
            with engine.create_session(
                apply_prompt_template=False,
                sampler_config=litert_lm.SamplerConfig(top_k=1),
                max_output_tokens=TOKENS,
            ) as session:
                session.run_prefill([prompt])
                found.append([piece.texts[0] for piece in session.run_decode_async()])
    return found


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("kind", ["gated_delta_update", "moe", "moe with tanh"])
def test_the_runtime_answers_as_the_evaluation_does(kind: str, shapes: str, tmp_path: Path) -> None:
    model = TinyModel(kind)
    bundle = tmp_path / "custom.litertlm"
    write(model, shapes, bundle)
    want = [expected(model, prompt) for prompt in PROMPTS]
    assert answers(bundle, [*PROMPTS, PROMPTS[0]]) == [*want, want[0]]
