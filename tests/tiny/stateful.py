"""A made-up family with every kind of state, its weights, and what numpy computes from them.

Layer 0 attends and owns a KV cache, whose values are shorter than its keys. Layer 1 has two
recurrent states: the last inputs of a short convolution and a running sum. Layer 2 has no state.
Layer 3 attends to the cache of layer 0.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from litert_lm_builder.runtime.proto import llm_metadata_pb2
from numpy.typing import NDArray

from litertlm.bundle import metadata
from litertlm.bundle.tokenizer_section import packed_tokenizer
from litertlm.bundle_format.constants import EXECUTOR_METADATA, LLM_METADATA
from litertlm.checkpoint import Checkpoint, Tokenizer
from litertlm.families import Family, Signature, blocks
from litertlm.families.rope import Rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights, pairs_to_halves
from litertlm.graph import Dim, Model, Tensor, ops
from litertlm.graph.state import KVCache, LayerStates, RecurrentState
from litertlm.graph.verify import verify
from litertlm.quantize import RECIPES, apply
from litertlm.services.verify.stub_bundle import write_bundle
from litertlm.tflite import plan as plan_tflite
from tiny.tokenizer import EOS, VOCAB_SIZE, tokenizer_json

Array = NDArray[np.float32]

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, VALUE_DIM, MLP, TAPS = 32, 4, 2, 8, 4, 48, 3
EPS, SCALE = 1e-6, HEAD_DIM**-0.5
MAX_CONTEXT = 512
ROPE = Rope((100.0 ** -(np.arange(0, HEAD_DIM, 2) / HEAD_DIM)).astype(np.float32))
STATES: LayerStates = (
    (KVCache(KV_HEADS, HEAD_DIM, value_dim=VALUE_DIM),),
    (RecurrentState("c", (1, TAPS - 1, HIDDEN)), RecurrentState("r", (1, 1, HIDDEN))),
    (),
    (),
)
_QKV = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM, KV_HEADS * VALUE_DIM)
_SHAPES: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (VOCAB_SIZE, HIDDEN),
    "layers.0.qkv.weight": (sum(_QKV), HIDDEN),
    "layers.0.qkv.bias": (sum(_QKV),),
    "layers.0.out.weight": (HIDDEN, HEADS * VALUE_DIM),
    "layers.1.in.weight": (HIDDEN, HIDDEN),
    "layers.1.conv.weight": (HIDDEN, 1, TAPS),
    "layers.1.out.weight": (HIDDEN, HIDDEN),
    "layers.2.gate_proj.weight": (MLP, HIDDEN),
    "layers.2.up_proj.weight": (MLP, HIDDEN),
    "layers.2.down_proj.weight": (HIDDEN, MLP),
    "layers.3.pairs.weight": (HEADS * HEAD_DIM, HIDDEN),
    "layers.3.out.weight": (HIDDEN, HEADS * VALUE_DIM),
    "norm.weight": (HIDDEN,),
    "lm_head.weight": (VOCAB_SIZE, HIDDEN),
}


@dataclass(frozen=True)
class _Stored:
    name: str
    data: Array
    dtype: str = "F32"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    def rows(self, start: int, stop: int) -> Array:
        return self.data[start:stop].copy()


def _values(name: str, shape: tuple[int, ...]) -> Array:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name == "norm.weight":
        return (3.0 + random.random_sample(shape)).astype(np.float32)
    width = 1 if "embed" in name else shape[-1]
    return (random.standard_normal(shape) * (1.5 / width**0.5)).astype(np.float32)


VALUES = {name: _values(name, shape) for name, shape in _SHAPES.items()}


def decoder(step: Step, w: Weights, c: Any) -> None:
    """The family's graph."""
    rotate = step.rotation(ROPE)
    x = blocks.embed(step, w, VOCAB_SIZE, HIDDEN)
    q, k, v = blocks.split_linear(x, w, "layers.0.qkv", _QKV, bias=True)
    q, k = blocks.split_heads(q, HEADS), blocks.split_heads(k, KV_HEADS)
    v = blocks.split_value_heads(v, KV_HEADS)
    y = blocks.attention(step, 0, rotate(q), rotate(k), v, scale=SCALE)
    x = ops.add(x, blocks.linear(y, w, "layers.0.out", HIDDEN))
    x = ops.add(x, _mixer(step, w, x))
    x = ops.add(x, blocks.mlp(x, w, "layers.2", MLP, "silu"))
    pairs = w.view("layers.3.pairs.weight", (HIDDEN, HIDDEN), pairs_to_halves(HEADS, HEAD_DIM))
    q = ops.fully_connected(x, x.graph.constant(pairs))
    y = blocks.attend(step, 0, rotate(blocks.split_heads(q, HEADS)), scale=SCALE)
    x = ops.add(x, blocks.linear(y, w, "layers.3.out", HIDDEN))
    x = blocks.rms_norm(x, w, "norm", EPS)
    blocks.head(step, x, w, VOCAB_SIZE, tied=False)


def _mixer(step: Step, w: Weights, x: Tensor) -> Tensor:
    """A short convolution, gated by a running sum over all tokens so far."""
    s = step.signature.tokens
    u = blocks.linear(x, w, "layers.1.in", HIDDEN)
    rows = step.convolution_input(1, "c", u)
    taps = w.transformed(
        "layers.1.conv.weight", (HIDDEN, 1, TAPS), (1, TAPS, 1, HIDDEN), _as_filters
    )
    rows = ops.reshape(rows, (1, s + TAPS - 1, 1, HIDDEN))
    mixed = ops.reshape(ops.depthwise_conv_2d(rows, x.graph.constant(taps)), (1, s, HIDDEN))
    before, real = step.recurrent(1, "r"), step.real_tokens()
    if real is not None:
        u = ops.mul(u, ops.reshape(real, (1, s, 1)))
    step.update_recurrent(1, "r", ops.add(before, ops.reduce_sum(u, [1])))
    gate = ops.logistic(ops.mul(ops.add(ops.cumsum(u, 1), before), 0.2))
    return blocks.linear(ops.mul(mixed, gate), w, "layers.1.out", HIDDEN)


def _as_filters(taps: Array) -> Array:
    return taps.transpose(1, 2, 0)


def family() -> Family:
    """The family, as `identify` would give it."""
    config = SimpleNamespace(vocab_size=VOCAB_SIZE, max_context=MAX_CONTEXT, states=STATES)
    return Family("stateful", SimpleNamespace(decoder=decoder), config)


def checkpoint() -> Checkpoint:
    """The weights."""
    tokenizer = Tokenizer(None, None, {}, None, False, None, None)
    tensors = {name: _Stored(name, values) for name, values in VALUES.items()}
    return Checkpoint(Path("stateful"), "safetensors", {}, {}, tensors, tokenizer)


def model(shapes: str, *, cache: int, prefill: tuple[int, ...]) -> Model:
    """The graphs, checked."""
    length = Dim("C") if shapes == "dynamic" else cache
    signatures = [Signature("decode", 1, length, logits=True)]
    if shapes == "dynamic":
        signatures.insert(0, Signature("prefill", Dim("S"), length, logits=False))
    else:
        signatures[:0] = [Signature(f"prefill_{s}", s, length, logits=False) for s in prefill]
    built = family().build(checkpoint(), signatures)
    verify(built)
    return built


def write_stateful_bundle(
    target: Path, shapes: str, *, cache: int, prefill: tuple[int, ...], recipe: str = "none"
) -> Path:
    """Write the bundle, without a template."""
    built = model(shapes, cache=cache, prefill=prefill)
    layout = plan_tflite(
        built, apply(built, RECIPES[recipe]), cache_length=cache, description="stateful"
    )
    kind, tokenizer = packed_tokenizer("huggingface", tokenizer_json(adds_bos=False))
    executor = metadata.executor_metadata(
        STATES, cache_length=cache if shapes == "static" else None, max_context=MAX_CONTEXT
    )
    llm = llm_metadata_pb2.LlmMetadata(max_num_tokens=cache)
    llm.llm_model_type.generic_model.SetInParent()
    llm.stop_tokens.add().token_ids.ids.append(EOS)  # the runtime wants one
    contents = {
        LLM_METADATA: bytes(llm.SerializeToString(deterministic=True)),
        EXECUTOR_METADATA: executor,
        kind: tokenizer,
    }
    write_bundle(target, contents, {"tf_lite_prefill_decode": layout})
    return target


def reference_logits(tokens: NDArray[np.int32]) -> Array:
    """The logits after each token, [len(tokens), vocab], without any state."""
    v = VALUES
    count = len(tokens)
    x = v["model.embed_tokens.weight"][tokens]
    qkv = x @ v["layers.0.qkv.weight"].T + v["layers.0.qkv.bias"]
    q, k, values = np.split(qkv, np.cumsum(_QKV)[:2], axis=1)
    keys = _rotated(k.reshape(count, KV_HEADS, HEAD_DIM))
    values = values.reshape(count, KV_HEADS, VALUE_DIM)
    y = _attended(_rotated(q.reshape(count, HEADS, HEAD_DIM)), keys, values)
    x = x + y @ v["layers.0.out.weight"].T
    u = x @ v["layers.1.in.weight"].T
    padded = np.concatenate([np.zeros((TAPS - 1, HIDDEN), np.float32), u])
    taps = v["layers.1.conv.weight"][:, 0]
    mixed = sum(padded[i : i + count] * taps[:, i] for i in range(TAPS))
    gate = 1 / (1 + np.exp(-0.2 * np.cumsum(u, axis=0)))
    x = x + (mixed * gate) @ v["layers.1.out.weight"].T
    hidden = x @ v["layers.2.gate_proj.weight"].T
    hidden = hidden / (1 + np.exp(-hidden)) * (x @ v["layers.2.up_proj.weight"].T)
    x = x + hidden @ v["layers.2.down_proj.weight"].T
    pairs = (x @ v["layers.3.pairs.weight"].T).reshape(count, HEADS, HEAD_DIM // 2, 2)
    halves = pairs.swapaxes(2, 3).reshape(count, HEADS, HEAD_DIM)
    x = x + _attended(_rotated(halves), keys, values) @ v["layers.3.out.weight"].T
    x = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + EPS) * v["norm.weight"]
    return np.asarray(x @ v["lm_head.weight"].T, np.float32)


def _rotated(x: Array) -> Array:
    angles = np.arange(len(x), dtype=np.float32)[:, None] * ROPE.inv_freq
    cos, sin = (np.tile(f(angles), 2)[:, None] for f in (np.cos, np.sin))
    first, second = np.split(x, 2, axis=2)
    return np.asarray(x * cos + np.concatenate([-second, first], axis=2) * sin, np.float32)


def _attended(q: Array, k: Array, v: Array) -> Array:
    k, v = (np.repeat(a, HEADS // KV_HEADS, axis=1) for a in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) * SCALE
    scores += np.where(np.tri(len(q), dtype=bool), 0, -np.inf)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(len(q), -1)
