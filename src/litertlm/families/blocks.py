"""The pieces that decoder-only transformers are made of, and the signature they run in.

Letters in shapes: S tokens of this call, C cache length, H hidden size, N query heads,
K key/value heads, G = N / K, hd head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint import Checkpoint, StoredTensor
from litertlm.errors import DamagedCheckpoint, UnsupportedModel
from litertlm.families.rope import Rope, Rotation, rotation
from litertlm.graph import Constant, Dim, DType, Graph, Size, Tensor, ops, table

# What the mask holds where a token may not look: 0.7 times the lowest float32, as the runtime
# fills it, so that adding a score cannot overflow.
MASKED = -0.7 * float(np.finfo(np.float32).max)

# Tensors that checkpoints carry and no graph needs: buffers that are derived from the config.
DERIVED_TENSORS = ("rotary_emb.inv_freq", "masked_bias", "attn.bias")


@dataclass(eq=False)
class Weights:
    """The checkpoint's tensors as graph constants: shape-checked, and each used at most once.

    Constants are shared by all signatures. Nothing is read here.
    """

    checkpoint: Checkpoint
    _constants: dict[str, Constant] = field(default_factory=dict)
    _ignored: set[str] = field(default_factory=set)

    def get(self, name: str, *shape: int, plus: float = 0.0) -> Constant:
        """The tensor `name` of exactly `shape`; `plus` is added to every value.

        Raises:
            DamagedCheckpoint: the tensor is missing or has another shape.
        """
        found = self._constants.get(name)
        if found is None:
            stored = self._stored(name, shape)
            found = Constant(name, shape, DType.FLOAT32, _plus(stored, plus))
            self._constants[name] = found
        return found

    def ignore(self, *names: str) -> None:
        """Tensors that the checkpoint may carry and that the model does not use."""
        self._ignored.update(names)

    def check_all_used(self) -> None:
        """Refuse a checkpoint with tensors that the family did not map.

        Raises:
            UnsupportedModel: names the first such tensors; leaving them out would silently
                change what the model computes.
        """
        left = [
            name
            for name in self.checkpoint.tensors
            if name not in self._constants
            and name not in self._ignored
            and not name.endswith(DERIVED_TENSORS)
        ]
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            raise UnsupportedModel(
                "This checkpoint has tensors that its family does not define.",
                why=f"Not mapped: {', '.join(left[:3])}{more}.",
                hint="It may need the model's own code, or a newer version of this program.",
            )

    def _stored(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        stored = self.checkpoint.tensors.get(name)
        if stored is None:
            raise DamagedCheckpoint(
                "The checkpoint is incomplete.", why=f"Tensor {name} {list(shape)} is missing."
            )
        if tuple(stored.shape) != shape:
            raise DamagedCheckpoint(
                "The checkpoint does not fit its config.json.",
                why=f"Tensor {name} has shape {list(stored.shape)}, "
                f"but config.json asks for {list(shape)}.",
            )
        return stored


def _plus(stored: StoredTensor, plus: float) -> Callable[[int, int], NDArray[np.float32]]:
    if not plus:
        return stored.rows
    return lambda start, stop: stored.rows(start, stop) + np.float32(plus)


@dataclass(frozen=True)
class Signature:
    """One entry point of the model.

    Attributes:
        name: `prefill`, `prefill_128`, `decode`.
        tokens: S, fixed or dynamic.
        cache: C, fixed or dynamic.
        logits: whether it returns the last token's logits (decode).
    """

    name: str
    tokens: Size
    cache: Size
    logits: bool


@dataclass(frozen=True)
class CacheShape:
    """One layer's KV cache: `heads` key/value heads of `head_dim`."""

    heads: int
    head_dim: int


class Step:
    """The graph of one signature while a family writes it: inputs, caches, masks, positions.

    Args:
        longest: tokens that the model can attend to, all in all.
    """

    def __init__(self, signature: Signature, caches: list[CacheShape], longest: int) -> None:
        s, c = signature.tokens, signature.cache
        self.signature = signature
        # A window of this many tokens hides nothing.
        self.longest = longest if isinstance(c, Dim) else c
        self.graph = Graph(signature.name)
        self.tokens = self.graph.input("tokens", (1, s), DType.INT32)
        self.positions = self.graph.input("input_pos", (s,), DType.INT32)
        self.mask = self.graph.input("mask", (1, 1, s, c))
        self.caches = caches
        for i, cache in enumerate(caches):
            self.graph.input(f"kv_cache_k_{i}", (1, cache.heads, c, cache.head_dim))
            self.graph.input(f"kv_cache_v_{i}", (1, cache.heads, cache.head_dim, c))
        self._float_positions = ops.cast_float(self.positions)
        self._rotations: dict[int, Rotation] = {}
        self._windows: dict[int, Tensor] = {}
        self._grouped: dict[tuple[int, int], Tensor] = {}
        first = ops.slice_axis(self.positions, 0, 0, 1)
        zero = self.graph.constant(table("zero", np.zeros(1, np.int32)))
        zeros = self.graph.constant(table("zeros2", np.zeros(2, np.int32)))
        self._key_start = ops.concat([zeros, first, zero], 0)
        self._value_start = ops.concat([zeros, zero, first], 0)

    def rotation(self, rope: Rope) -> Rotation:
        """cos and sin of this call's positions; made once per Rope."""
        found = self._rotations.get(id(rope))
        if found is None:
            found = rotation(self.graph, self._float_positions, rope)
            self._rotations[id(rope)] = found
        return found

    def window(self, size: int | None) -> Tensor:
        """The mask of a sliding window: only the last `size` positions, [1, 1, S, C].

        None is the whole context: the runtime's causal mask as it is.
        """
        if size is None or size >= self.longest:
            return self.mask
        found = self._windows.get(size)
        if found is None:
            c, s = self.signature.cache, self.signature.tokens
            if isinstance(c, Dim):
                # The columns 0..C-1 of a cache whose length is known at run time only: a
                # running sum of ones, which any row of the mask gives the length of.
                row = ops.slice_axis(self.mask, 2, 0, 1)
                one = ops.scalar(row, 1.0)
                ones = ops.select(ops.greater_equal(row, 0.0), one, one)
                columns = ops.sub(ops.cumsum_last(ones), 1.0)
            else:
                numbers = np.arange(c, dtype=np.float32).reshape(1, 1, 1, c)
                columns = self.graph.constant(table("columns", numbers))
            rows = ops.reshape(self._float_positions, (1, 1, s, 1))
            outside = ops.greater_equal(ops.sub(rows, columns), float(size))
            found = ops.select(outside, ops.scalar(self.mask, MASKED), self.mask)
            self._windows[size] = found
        return found

    def grouped(self, mask: Tensor, groups: int) -> Tensor:
        """The mask for G query heads that share a key head: [1, 1, G*S, C]."""
        if groups == 1:
            return mask
        key = (id(mask), groups)
        found = self._grouped.get(key)
        if found is None:
            found = ops.concat([mask] * groups, 2)
            self._grouped[key] = found
        return found

    def update_cache(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k [1,K,S,hd] and v [1,K,hd,S] at this call's positions; the whole caches."""
        names = f"kv_cache_k_{layer}", f"kv_cache_v_{layer}"
        keys = ops.dynamic_update_slice(self.graph.inputs[names[0]], k, self._key_start)
        values = ops.dynamic_update_slice(self.graph.inputs[names[1]], v, self._value_start)
        self.graph.output(names[0], keys)
        self.graph.output(names[1], values)
        return keys, values


def embed(step: Step, w: Weights, vocab: int, hidden: int, *, scale: float = 1.0) -> Tensor:
    """Token embeddings times `scale`: [1, S, H]."""
    s = step.signature.tokens
    weight = w.get("model.embed_tokens.weight", vocab, hidden)
    ids = ops.reshape(step.tokens, (s,))
    rows = ops.embedding_lookup(ids, step.graph.constant(weight))
    x = ops.reshape(rows, (1, s, hidden))
    return x if scale == 1.0 else ops.mul(x, scale)


def linear(x: Tensor, w: Weights, name: str, out: int, *, bias: bool = False) -> Tensor:
    """The Linear module `name` (`name.weight`, and `name.bias` if asked): [..., out]."""
    width = x.shape[-1]
    assert isinstance(width, int)
    weight = x.graph.constant(w.get(f"{name}.weight", out, width))
    return ops.fully_connected(
        x, weight, x.graph.constant(w.get(f"{name}.bias", out)) if bias else None
    )


def rms_norm(x: Tensor, w: Weights, name: str, eps: float, *, plus: float = 0.0) -> Tensor:
    """x / rms(x) * (weight + plus) over the last axis (Zhang and Sennrich 2019)."""
    width = x.shape[-1]
    assert isinstance(width, int)
    weight = w.get(f"{name}.weight", width, plus=plus)
    variance = ops.mean_last(ops.mul(x, x))
    scaled = ops.mul(x, ops.rsqrt(ops.add(variance, eps)))
    return ops.mul(scaled, x.graph.constant(weight))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[1, S, heads*hd] to [1, heads, S, hd], as queries and keys are used."""
    return ops.transpose(_with_heads(x, heads), (0, 2, 1, 3))


def split_value_heads(x: Tensor, heads: int) -> Tensor:
    """[1, S, heads*hd] to [1, heads, hd, S], as the value cache is stored."""
    return ops.transpose(_with_heads(x, heads), (0, 2, 3, 1))


def project_heads(
    x: Tensor,
    w: Weights,
    prefix: str,
    heads: int,
    kv_heads: int,
    head_dim: int,
    *,
    bias: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """x [1, S, H] through `q_proj`, `k_proj` and `v_proj` after `prefix`, split into heads:
    q [1, N, S, hd], k [1, K, S, hd], v [1, K, hd, S].
    """
    q = split_heads(linear(x, w, f"{prefix}q_proj", heads * head_dim, bias=bias), heads)
    k = split_heads(linear(x, w, f"{prefix}k_proj", kv_heads * head_dim, bias=bias), kv_heads)
    v = linear(x, w, f"{prefix}v_proj", kv_heads * head_dim, bias=bias)
    return q, k, split_value_heads(v, kv_heads)


def _with_heads(x: Tensor, heads: int) -> Tensor:
    _, s, width = x.shape
    assert isinstance(width, int)
    return ops.reshape(x, (1, s, heads, width // heads))


def attention(
    step: Step,
    layer: int,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Grouped-query attention over the cache, which it updates.

    Args:
        q: [1, N, S, hd]. k: [1, K, S, hd]. v: [1, K, hd, S].
        scale: multiplies q.
        window: how many positions a token sees, its own included; None for all.
        softcap: scores become softcap * tanh(scores / softcap).

    Returns:
        [1, S, N*hd].
    """
    cache = step.caches[layer]
    heads, s, hd = q.shape[1], q.shape[2], cache.head_dim
    assert isinstance(heads, int)
    groups = heads // cache.heads
    keys, values = step.update_cache(layer, k, v)
    q = ops.reshape(ops.mul(q, scale), (1, cache.heads, groups * s, hd))
    scores = ops.batch_matmul(q, keys)
    if softcap is not None:
        scores = soft_cap(scores, softcap)
    scores = ops.add(scores, step.grouped(step.window(window), groups))
    mixed = ops.batch_matmul(ops.softmax(scores), values)
    mixed = ops.transpose(ops.reshape(mixed, (1, heads, s, hd)), (0, 2, 1, 3))
    return ops.reshape(mixed, (1, s, heads * hd))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": lambda x: ops.mul(x, ops.logistic(x)),
    "swish": lambda x: ops.mul(x, ops.logistic(x)),
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
}


def mlp(
    x: Tensor, w: Weights, name: str, width: int, activation: str, *, bias: bool = False
) -> Tensor:
    """The MLP module `name`: down(activation(gate(x)) * up(x)), `width` wide inside: [..., H]."""
    hidden = x.shape[-1]
    assert isinstance(hidden, int)
    gate = linear(x, w, f"{name}.gate_proj", width, bias=bias)
    up = linear(x, w, f"{name}.up_proj", width, bias=bias)
    return linear(
        ops.mul(ACTIVATIONS[activation](gate), up), w, f"{name}.down_proj", hidden, bias=bias
    )


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """cap * tanh(x / cap), which keeps values within (-cap, cap)."""
    return ops.mul(ops.tanh(ops.mul(x, 1.0 / cap)), cap)


def head(
    step: Step,
    x: Tensor,
    w: Weights,
    vocab: int,
    *,
    tied: bool,
    scale: float = 1.0,
    softcap: float | None = None,
) -> None:
    """The logits, [1, S, V], if the signature returns them.

    Args:
        x: [1, S, H], normalised.
        tied: the head is the embedding table; some checkpoints store it twice all the same.
        scale: multiplies the logits.
        softcap: logits become softcap * tanh(logits / softcap).
    """
    width = x.shape[-1]
    assert isinstance(width, int)
    if tied:
        w.ignore("lm_head.weight")
    weight = w.get("model.embed_tokens.weight" if tied else "lm_head.weight", vocab, width)
    if not step.signature.logits:
        return
    logits = ops.fully_connected(x, step.graph.constant(weight), head=True)
    if scale != 1.0:
        logits = ops.mul(logits, scale)
    if softcap is not None:
        logits = soft_cap(logits, softcap)
    step.graph.output("logits", logits)
