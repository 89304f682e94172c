"""The graph of one signature while a family writes it: inputs, states, masks and positions.

Letters in shapes: S tokens of this call, C cache length, K key/value heads, hd head size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litertlm.families.rope import Rope, Rotation, rotation
from litertlm.graph import Dim, DType, Graph, GraphError, Size, Tensor, ops, table
from litertlm.graph.state import (
    KVCache,
    LayerStates,
    key_name,
    state_name,
    state_tensors,
    value_name,
)

# What the mask holds where a token may not look: 0.7 times the lowest float32, as the runtime
# fills it, so that adding a score cannot overflow.
MASKED = -0.7 * float(np.finfo(np.float32).max)


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


class Step:
    """One call of a signature.

    Args:
        states: of each layer.
        max_context: the most tokens that the model can attend to.
    """

    def __init__(self, signature: Signature, states: LayerStates, max_context: int) -> None:
        s, c = signature.tokens, signature.cache
        self.signature = signature
        self.states = states
        # A window of this many tokens hides nothing.
        self.max_context = max_context if isinstance(c, Dim) else c
        self.graph = Graph(signature.name)
        self.tokens = self.graph.input("tokens", (1, s), DType.INT32)
        self.positions = self.graph.input("input_pos", (s,), DType.INT32)
        self.mask = self.graph.input("mask", (1, 1, s, c))
        for state in state_tensors(states, c):
            self.graph.state(state)
        # Reshaped as integers, which XNNPACK does not copy (tflite/delegate.py).
        self._position_column = ops.cast_float(ops.reshape(self.positions, (s, 1)))
        self._rotations: dict[Rope, Rotation] = {}
        self._sliding_masks: dict[int, Tensor] = {}
        self._repeated_masks: dict[tuple[Tensor, int], Tensor] = {}
        self._first = ops.slice_axis(self.positions, 0, 0, 1)
        zero = self.graph.constant(table("zero", np.zeros(1, np.int32)))
        zeros = self.graph.constant(table("zeros2", np.zeros(2, np.int32)))
        self._key_start = ops.concat([zeros, self._first, zero], 0)
        self._value_start = ops.concat([zeros, zero, self._first], 0)
        self._continues: Tensor | None = None
        self._real_tokens: Tensor | None = None

    def rotation(self, rope: Rope) -> Rotation:
        """cos and sin of this call's positions; made once per Rope."""
        found = self._rotations.get(rope)
        if found is None:
            found = rotation(self._position_column, rope)
            self._rotations[rope] = found
        return found

    def sliding_mask(self, window: int | None) -> Tensor:
        """The mask of a sliding window: only the last `window` positions, [1, 1, S, C].

        None is the complete context: the runtime's causal mask as it is.
        """
        if window is None or window >= self.max_context:
            return self.mask
        found = self._sliding_masks.get(window)
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
            rows = ops.cast_float(ops.reshape(self.positions, (1, 1, s, 1)))
            outside = ops.greater_equal(ops.sub(rows, columns), float(window))
            found = ops.select(outside, ops.scalar(self.mask, MASKED), self.mask)
            self._sliding_masks[window] = found
        return found

    def repeat_mask(self, mask: Tensor, groups: int) -> Tensor:
        """The mask for G query heads that share a key head: [1, 1, G*S, C], or what broadcasts to
        it."""
        if groups == 1 or self.signature.tokens == 1:
            return mask
        found = self._repeated_masks.get((mask, groups))
        if found is None:
            found = ops.concat([mask] * groups, 2)
            self._repeated_masks[mask, groups] = found
        return found

    def kv_cache(self, layer: int) -> KVCache:
        """The KV cache that the family declares for a layer."""
        for state in self.states[layer]:
            if isinstance(state, KVCache):
                return state
        raise GraphError(f"layer {layer} has no KV cache")

    def update_cache(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write k [1, K, S, hd] and v [1, K, hd, S] into a layer's cache, at this call's
        positions."""
        keys, values = self.graph.inputs[key_name(layer)], self.graph.inputs[value_name(layer)]
        keys = ops.dynamic_update_slice(keys, k, self._key_start)
        values = ops.dynamic_update_slice(values, v, self._value_start)
        self.graph.output(key_name(layer), keys)
        self.graph.output(value_name(layer), values)

    def cache(self, layer: int) -> tuple[Tensor, Tensor]:
        """The keys [1, K, C, hd] and values [1, K, hd, C] of a layer, this call's tokens
        included once `update_cache` was called; any later layer may read them."""
        keys, values = key_name(layer), value_name(layer)
        source = self.graph.outputs if keys in self.graph.outputs else self.graph.inputs
        return source[keys], source[values]

    def recurrent(self, layer: int, name: str) -> Tensor:
        """A layer's RecurrentState as the call before left it; zeros where a text begins.

        The runtime does not clear it for a new session, but a session begins at position 0.
        """
        if self._continues is None:
            self._continues = ops.cast_float(ops.greater_equal(self._first, 1.0))
        return ops.mul(self.graph.inputs[state_name(name, layer)], self._continues)

    def convolution_input(self, layer: int, name: str, x: Tensor) -> Tensor:
        """x [1, S, H] after the rows that came before it, [1, k + S, H], for a causal convolution
        of k + 1 taps; the state `name`, [1, k, H], becomes the last k rows."""
        state = self.recurrent(layer, name)
        rows = state.shape[1]
        assert isinstance(rows, int)
        joined = ops.concat([state, x], 1)
        self.update_recurrent(layer, name, self.last_rows(joined, rows))
        return joined

    def cached_convolution_input(self, layer: int, x: Tensor, rows: int) -> Tensor:
        """As `convolution_input`, where the layer keeps the rows of all tokens so far in the keys
        of KVCache(1, H, value_dim=1): unlike a recurrent state, a cache can be rewound, needs no
        reset, and padding of a prefill does not change it.

        Args:
            x: [1, S, H].
            rows: k, the rows that are needed from before this call.

        Returns:
            [1, k + S, H], with zeros before the first token.
        """
        s, width = self.signature.tokens, x.shape[2]
        # The values are not used, but the runtime grows keys only together with values.
        values = ops.cast_float(ops.reshape(self.positions, (1, 1, 1, s)))
        self.update_cache(layer, ops.reshape(x, (1, 1, s, width)), values)
        keys, _ = self.cache(layer)
        if isinstance(s, int):
            numbers = self.graph.constant(table("rows", np.arange(-rows, s, dtype=np.int32)))
            indices = ops.add(self._first, numbers)
            length = keys.shape[2]
            if isinstance(length, int):  # padding may extend beyond the cache
                indices = ops.minimum(indices, length - 1)
        else:
            numbers = self.graph.constant(table("before", np.arange(-rows, 0, dtype=np.int32)))
            indices = ops.concat([ops.add(self._first, numbers), self.positions], 0)
        exists = ops.reshape(ops.greater_equal(indices, 0), (1, 1, rows + s, 1))
        found = ops.gather(keys, ops.maximum(indices, 0), 2)
        return ops.reshape(ops.mul(found, ops.cast_float(exists)), (1, rows + s, width))

    def last_rows(self, joined: Tensor, count: int) -> Tensor:
        """The last `count` rows that belong to tokens or to the state before them.

        Args:
            joined: [1, count + S, H], a state of `count` rows and this call's tokens.

        Returns:
            [1, count, H].
        """
        real = self.real_tokens()
        if real is None:
            return ops.last(joined, 1, count)
        tokens = ops.cast_int(ops.reduce_sum(real, [0]))
        numbers = self.graph.constant(table("rows", np.arange(count, dtype=np.int32)))
        return ops.gather(joined, ops.add(tokens, numbers), 1)

    def real_tokens(self) -> Tensor | None:
        """1 for each token and 0 for the padding of a static prefill, [S]; None without padding.

        A recurrent state must not change with the padding. The runtime lets `input_pos` rise by
        one over the tokens, and the padding does not continue it.
        """
        s = self.signature.tokens
        if isinstance(s, Dim) or s == 1:
            return None
        if self._real_tokens is None:
            numbers = self.graph.constant(table("numbers", np.arange(s, dtype=np.int32)))
            expected = ops.add(self._first, numbers)
            self._real_tokens = ops.cast_float(ops.equal(self.positions, expected))
        return self._real_tokens

    def update_recurrent(self, layer: int, name: str, value: Tensor) -> None:
        """What the next call gets as the state `name` of a layer."""
        self.graph.output(state_name(name, layer), value)

    def finish(self) -> Graph:
        """The graph, without what no output needs.

        Raises:
            GraphError: a declared state was not updated.
        """
        for name in self.graph.states:
            if name not in self.graph.outputs:
                raise GraphError(f"{self.graph.name}: {name} is declared, but never updated")
        self.graph.prune()
        return self.graph
