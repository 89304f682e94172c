"""Rotary position embedding: frequencies from a config, and their use in a graph.

Sources: Su et al. 2021 (RoPE); the `rope_scaling` types as transformers'
modeling_rope_utils.py defines them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.families.config import ConfigReader
from litertlm.graph import Dim, Tensor, ops, table
from litertlm.graph.types import DType, Graph

ROPE_TYPES = ("default", "linear", "llama3")


@dataclass(frozen=True, eq=False)
class Rope:
    """Attributes:
    inv_freq: radians per position, float32 [rotary_dim / 2].
    attention_factor: multiplies cos and sin (1 except for yarn).
    """

    inv_freq: NDArray[np.float32]
    attention_factor: float = 1.0

    @property
    def rotary_dim(self) -> int:
        """How many of a head's dimensions are rotated, from the first."""
        return 2 * len(self.inv_freq)


def read_rope(
    config: ConfigReader, head_dim: int, parameters: Mapping[str, Any] | None = None
) -> Rope:
    """The frequencies that a config asks for.

    Args:
        config: reads `rope_theta` and `rope_scaling`, or `rope_parameters` (transformers 5).
        head_dim: dimensions of one head.
        parameters: the rope parameters to use instead of the config's own (per layer type).

    Raises:
        UnsupportedModel: an unknown rope type or a missing parameter, named.
    """
    key = "rope_parameters" if config.has("rope_parameters") else "rope_scaling"
    scaling = ConfigReader(
        config.mapping(key) if parameters is None else parameters, f"{config.prefix}{key}."
    )
    theta = scaling.number("rope_theta", config.number("rope_theta", 10000.0))
    type_key = "type" if scaling.has("type") and not scaling.has("rope_type") else "rope_type"
    kind = scaling.choice(type_key, ROPE_TYPES, "default")
    partial = scaling.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0))
    dim = int(head_dim * partial)
    if dim % 2 or not 0 < dim <= head_dim:
        raise config.refuse("partial_rotary_factor", f"gives {dim} rotary dimensions")
    inv_freq = 1.0 / theta ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    if kind == "linear":
        inv_freq = inv_freq / _need(scaling, "factor")
    elif kind == "llama3":
        inv_freq = _llama3(inv_freq, scaling)
    return Rope(inv_freq.astype(np.float32))


def _llama3(inv_freq: NDArray[np.float64], scaling: ConfigReader) -> NDArray[np.float64]:
    """Long wavelengths divided by `factor`, short ones kept, a linear blend between."""
    factor = _need(scaling, "factor")
    low, high = _need(scaling, "low_freq_factor"), _need(scaling, "high_freq_factor")
    original = _need(scaling, "original_max_position_embeddings")
    if low == high:
        raise scaling.refuse("high_freq_factor", "equals low_freq_factor")
    wavelength = 2 * math.pi / inv_freq
    smooth = np.clip((original / wavelength - low) / (high - low), 0.0, 1.0)
    blended = (1 - smooth) * inv_freq / factor + smooth * inv_freq
    return np.where(
        wavelength > original / low,
        inv_freq / factor,
        np.where(wavelength < original / high, inv_freq, blended),
    )


def _need(scaling: ConfigReader, key: str) -> float:
    if not scaling.has(key):
        raise scaling.refuse(key, "is missing")
    value = scaling.number(key, 0.0)
    if value <= 0:
        raise scaling.refuse(key, f"is {value}, but must be positive")
    return value


@dataclass(frozen=True, eq=False)
class Rotation:
    """cos and sin of one signature's positions, each [S, rotary_dim]."""

    cos: Tensor
    sin: Tensor
    rotary_dim: int

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate x [1, heads, S, head_dim] by its positions (the halves layout of Llama)."""
        head_dim = x.shape[-1]
        assert isinstance(head_dim, int)
        rotated, rest = x, None
        if self.rotary_dim < head_dim:
            rotated = ops.slice_axis(x, -1, 0, self.rotary_dim)
            rest = ops.slice_axis(x, -1, self.rotary_dim, head_dim - self.rotary_dim)
        half = self.rotary_dim // 2
        swapped = ops.concat(
            [ops.slice_axis(rotated, -1, half, half), ops.slice_axis(rotated, -1, 0, half)], -1
        )
        out = ops.add(ops.mul(rotated, self.cos), ops.mul(swapped, self.sin))
        return out if rest is None else ops.concat([out, rest], -1)


def rotation(graph: Graph, positions: Tensor, rope: Rope) -> Rotation:
    """Tables for positions [S], FLOAT32. The sine of the first half is negated, so that
    rotating needs no NEG: rotate(x) = x * cos + swap_halves(x) * sin.
    """
    s: int | Dim = positions.shape[0]
    half = len(rope.inv_freq)
    freq = graph.constant(table("inv_freq", rope.inv_freq.reshape(1, half)))
    angles = ops.mul(ops.reshape(positions, (s, 1)), freq)
    cos, sin = ops.cos(angles), ops.sin(angles)
    if rope.attention_factor != 1.0:
        cos, sin = ops.mul(cos, rope.attention_factor), ops.mul(sin, rope.attention_factor)
    assert positions.dtype is DType.FLOAT32
    return Rotation(
        ops.concat([cos, cos], -1), ops.concat([ops.mul(sin, -1.0), sin], -1), rope.rotary_dim
    )
