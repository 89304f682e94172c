"""Rotary position embedding: frequencies from a config, and their use in a graph.

Sources: Su et al. 2021 (RoPE); the `rope_scaling` types as transformers'
modeling_rope_utils.py defines them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litertlm.families.config_reader import ConfigReader
from litertlm.graph import Tensor, ops, table

ROPE_TYPES = ("default", "linear", "llama3", "yarn", "dynamic", "longrope", "proportional")


@dataclass(frozen=True, eq=False)
class Rope:
    """Attributes:
    inv_freq: radians per position, float32 [rotary_dim / 2].
    attention_factor: multiplies cos and sin (yarn and longrope).
    max_positions: beyond this many tokens the frequencies would change; None if never.
    """

    inv_freq: NDArray[np.float32]
    attention_factor: float = 1.0
    max_positions: int | None = None

    @property
    def rotary_dim(self) -> int:
        """How many of a head's dimensions are rotated, from the first."""
        return 2 * len(self.inv_freq)


def rope_parameters(config: ConfigReader) -> ConfigReader:
    """`rope_scaling`, or `rope_parameters` (transformers 5) where that is missing or empty.

    The order is that of transformers (modeling_rope_utils.py, `convert_rope_params_to_dict`).
    """
    scaling, parameters = config.section("rope_scaling"), config.section("rope_parameters")
    return scaling if scaling.values else parameters


def read_rope(
    config: ConfigReader,
    head_dim: int,
    *,
    scaling: ConfigReader | None = None,
    theta: float = 10000.0,
    partial: bool = False,
    proportional: bool = True,
    by_layer: bool = False,
) -> Rope:
    """The frequencies that a config asks for.

    Args:
        config: reads `rope_theta` and `rope_scaling`, or `rope_parameters` (transformers 5).
        head_dim: dimensions of one head.
        scaling: the rope parameters to use instead of the config's own (per layer type).
        theta: the family's default of `rope_theta`.
        partial: whether the family reads `partial_rotary_factor`.
        proportional: whether the family accepts this type beside a partial rotation.
        by_layer: whether types of layers have rope parameters of their own; as in transformers,
            `original_max_position_embeddings` beside them is not read then.

    Raises:
        UnsupportedModel: an unknown rope type or a missing parameter, named.
    """
    if scaling is None:
        scaling = rope_parameters(config)
    for key, value in scaling.values.items():
        if isinstance(value, Mapping):
            raise scaling.unsupported(key, "is an object, but these layers share one rotation")
    type_key = "type" if scaling.has("type") and not scaling.has("rope_type") else "rope_type"
    kind = scaling.choice(type_key, ROPE_TYPES, "default")
    base = scaling.positive("rope_theta", config.positive("rope_theta", theta))
    fraction = scaling.positive(
        "partial_rotary_factor", config.positive("partial_rotary_factor", 1.0)
    )
    if kind == "proportional" and not proportional:
        raise scaling.unsupported(
            type_key, "is proportional, but this family rotates parts of heads"
        )
    # The proportional type has an angle for every dimension; all but a fraction are 0.
    proportion, fraction = (fraction, 1.0) if kind == "proportional" else (1.0, fraction)
    if fraction != 1.0 and not partial:
        raise config.unsupported(
            "partial_rotary_factor", "is set, but this family rotates all dimensions of a head"
        )
    dim = int(head_dim * fraction)
    if dim % 2 or not 0 < dim <= head_dim:
        raise config.unsupported("partial_rotary_factor", f"gives {dim} rotary dimensions")

    if base <= 1.0:
        raise config.unsupported("rope_theta", f"is {base}, but must be above 1")
    inv_freq = 1.0 / base ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
    max_positions = config.size("max_position_embeddings", 2048)
    trained = scaling.size("original_max_position_embeddings", max_positions)
    if not by_layer:
        trained = config.size("original_max_position_embeddings", trained)
    factor, limit = 1.0, None
    if kind == "linear":
        inv_freq = inv_freq / _need(scaling, "factor")
    elif kind == "llama3":
        inv_freq = _llama3(inv_freq, scaling, trained)
    elif kind == "yarn":
        inv_freq, factor = _yarn(inv_freq, scaling, base, max_positions, trained)
    elif kind == "longrope":
        inv_freq, factor, limit = *_longrope(inv_freq, scaling, max_positions, trained), trained
    elif kind == "proportional":
        inv_freq[int(proportion * head_dim // 2) :] = 0.0
        inv_freq = inv_freq / scaling.positive("factor", 1.0)
    elif kind == "dynamic":
        limit = max_positions  # the frequencies change only beyond
    frequencies = inv_freq.astype(np.float32)
    if not np.isfinite(frequencies).all():
        raise scaling.unsupported(type_key, f"{kind} gives frequencies that are not finite")
    return Rope(frequencies, factor, limit)


Frequencies = NDArray[np.float64]


def _llama3(inv_freq: Frequencies, scaling: ConfigReader, trained: int) -> Frequencies:
    """Long wavelengths divided by `factor`, short ones kept, a linear blend between."""
    factor = _need(scaling, "factor")
    low, high = _need(scaling, "low_freq_factor"), _need(scaling, "high_freq_factor")
    if low == high:
        raise scaling.unsupported("high_freq_factor", "equals low_freq_factor")
    # 1 keeps a frequency, 0 divides it by the factor.
    kept = np.clip((trained * inv_freq / (2 * math.pi) - low) / (high - low), 0.0, 1.0)
    blended: Frequencies = (1 - kept) * inv_freq / factor + kept * inv_freq
    return blended


def _yarn(
    inv_freq: Frequencies, scaling: ConfigReader, base: float, max_positions: int, trained: int
) -> tuple[Frequencies, float]:
    """YaRN (Peng et al. 2023): dimensions that turn often are kept, slow ones divided."""
    factor = scaling.positive("factor", max_positions / trained)
    dim = 2 * len(inv_freq)

    def dimension(turns: float) -> float:
        """Which dimension turns so many times within the trained context."""
        return dim * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

    low = dimension(scaling.positive("beta_fast", 32.0))
    high = dimension(scaling.positive("beta_slow", 1.0))
    if scaling.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    if low == high:
        high += 0.001
    divided = np.clip((np.arange(dim // 2) - low) / (high - low), 0.0, 1.0)

    def magnitude(scale: float) -> float:
        return 0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0

    default = magnitude(1.0)
    if scaling.number("mscale", 0.0) and scaling.number("mscale_all_dim", 0.0):
        default = magnitude(scaling.number("mscale", 0.0))
        default /= magnitude(scaling.number("mscale_all_dim", 0.0))
    attention = scaling.positive("attention_factor", default)
    return inv_freq / factor * divided + inv_freq * (1 - divided), attention


def _longrope(
    inv_freq: Frequencies, scaling: ConfigReader, max_positions: int, trained: int
) -> tuple[Frequencies, float]:
    """LongRoPE (Ding et al. 2024) within the trained context: its short factors."""
    factor = scaling.positive("factor", max_positions / trained)
    if trained < 2:
        raise scaling.unsupported("original_max_position_embeddings", "must be above 1")
    default = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    short = scaling.numbers("short_factor", len(inv_freq))
    return inv_freq / short, scaling.positive("attention_factor", default)


def _need(scaling: ConfigReader, key: str) -> float:
    if not scaling.has(key):
        raise scaling.unsupported(key, "is missing")
    return scaling.positive(key, 1.0)


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


def rotation(positions: Tensor, rope: Rope) -> Rotation:
    """Tables for positions [S, 1], FLOAT32. The sine of the first half is negated, so that
    rotating needs no NEG: rotate(x) = x * cos + swap_halves(x) * sin.
    """
    graph, factor = positions.graph, np.float32(rope.attention_factor)
    both = np.concatenate([rope.inv_freq, rope.inv_freq])
    angles = ops.mul(positions, graph.constant(table("inv_freq", both.reshape(1, -1))))
    signs = np.repeat([-factor, factor], len(rope.inv_freq)).reshape(1, -1)
    sin = ops.mul(ops.sin(angles), graph.constant(table("signs", signs)))
    cos = ops.cos(angles)
    return Rotation(cos if factor == 1 else ops.mul(cos, float(factor)), sin, rope.rotary_dim)
