"""The states that a model carries from one call to the next, and the tensors that hold them.

A family declares the states of each layer once. The inputs and outputs of the graphs, the rules
of the verifier, the bundle's ExecutorMetadata, the loops that run a model and the estimates of
memory all follow from that declaration.

Letters in shapes: C length of the cache, K key/value heads, hd head size, vd value head size.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.types import Graph, GraphError, Shape, Size

_FLOAT_BYTES = 4  # states are float32

_KEY, _VALUE = "k", "v"


@dataclass(frozen=True)
class KVCache:
    """The keys and values of all tokens so far, [1, K, C, hd] and [1, K, vd, C].

    Values are stored transposed, so that both products of attention read rows.

    Attributes:
        heads: key/value heads, K.
        head_dim: hd.
        window: how many positions a token sees, its own included; None for all.
        value_dim: vd, where it is not hd.
    """

    heads: int
    head_dim: int
    window: int | None = None
    value_dim: int | None = None


@dataclass(frozen=True)
class RecurrentState:
    """A state of fixed size, such as the last inputs of a convolution.

    Attributes:
        name: tells the recurrent states of one layer apart; `k` and `v` are those of a cache.
        shape: static.
    """

    name: str
    shape: tuple[int, ...]


State = KVCache | RecurrentState

# For each layer its states; a layer may have none.
LayerStates = Sequence[Sequence[State]]


class Role(enum.Enum):
    """What a state tensor holds."""

    KEY = "key"
    VALUE = "value"
    RECURRENT = "recurrent"


@dataclass(frozen=True)
class StateTensor:
    """One tensor that a call takes and returns under the same name.

    Attributes:
        name: of the input and of the output of every signature.
        role: what it holds.
        shape: float32, with C as it is in the signature.
        sequence_axis: the axis of length C; None for a state of fixed size.
    """

    name: str
    role: Role
    shape: Shape
    sequence_axis: int | None


def state_name(which: str, layer: int) -> str:
    """The name of a layer's state tensor; `which` is `k`, `v` or a RecurrentState's name."""
    return f"kv_cache_{which}_{layer}"


def key_name(layer: int) -> str:
    """The name of a layer's key cache."""
    return state_name(_KEY, layer)


def value_name(layer: int) -> str:
    """The name of a layer's value cache."""
    return state_name(_VALUE, layer)


def state_tensors(states: LayerStates, length: Size) -> Iterator[StateTensor]:
    """The state tensors of a model, layer by layer.

    Args:
        length: C.

    Raises:
        GraphError: two states of a layer have the same name.
    """
    for layer, declared in enumerate(states):
        tensors = [t for state in declared for t in _tensors(state, layer, length)]
        if len({t.name for t in tensors}) < len(tensors):
            raise GraphError(f"layer {layer} declares two states of one name: {declared}")
        yield from tensors


def state_bytes(states: LayerStates, length: int) -> int:
    """Bytes of all states in memory, for a context of `length` tokens."""
    return sum(
        _FLOAT_BYTES * math.prod(_static(tensor)) for tensor in state_tensors(states, length)
    )


def zero_states(graph: Graph) -> dict[str, NDArray[np.float32]]:
    """The states before the first token, by name, for a graph with static shapes."""
    return {t.name: np.zeros(_static(t), np.float32) for t in graph.states.values()}


def _tensors(state: State, layer: int, length: Size) -> list[StateTensor]:
    if isinstance(state, RecurrentState):
        name = state_name(state.name, layer)
        return [StateTensor(name, Role.RECURRENT, state.shape, None)]
    value_dim = state.value_dim or state.head_dim
    key = (1, state.heads, length, state.head_dim)
    value = (1, state.heads, value_dim, length)
    return [
        StateTensor(key_name(layer), Role.KEY, key, 2),
        StateTensor(value_name(layer), Role.VALUE, value, 3),
    ]


def _static(tensor: StateTensor) -> list[int]:
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    if len(sizes) < len(tensor.shape):
        raise GraphError(f"{tensor.name} has dynamic axes: {tensor.shape}")
    return sizes
