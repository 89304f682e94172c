"""Quantization of blocks of rows, in numpy. Pure functions; definitions in the docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A row whose largest magnitude is below this cannot be scaled by a normal float32: it is zero.
SMALLEST = np.float32(127 * np.finfo(np.float32).tiny)

# The first number that float16 rounds to infinity.
_FLOAT16_END = np.float32(65520)


class NotFinite(ValueError):
    """A weight is NaN or infinite; it has no quantized value."""


def absmax_rows(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest magnitude of each row of x [rows, cols]; NaN is larger than infinity."""
    # The bits of floats without a sign sort like their magnitudes. The maximum of these integers
    # takes two thirds of the time of the maximum and the minimum of the floats.
    bits = x.view(np.uint32) & np.uint32(0x7FFFFFFF)
    largest: NDArray[np.float32] = bits.max(axis=1).view(np.float32)
    return largest


def int8_rows(x: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric per-row int8: scale = absmax / 127, q = round_half_even(x / scale).

    Args:
        x: [rows, cols]; overwritten.

    Returns:
        q int8 [rows, cols] in [-127, 127] and scale float32 [rows]; a row of zeros has scale 1.

    Raises:
        NotFinite: x has a NaN or an infinity.
    """
    absmax = absmax_rows(x)
    # NaN and infinities propagate to absmax, so that checking it is enough.
    if not np.isfinite(absmax).all():
        raise NotFinite
    empty = absmax < SMALLEST
    scale = absmax / np.float32(127)
    if empty.any():
        scale[empty] = 1
        x[empty] = 0
    np.divide(x, scale[:, None], out=x)
    np.rint(x, out=x)
    return x.astype(np.int8), scale


def float16_rows(x: NDArray[np.float32]) -> NDArray[np.float16]:
    """Rounded to float16.

    Raises:
        NotFinite: a value is NaN, infinite, or beyond float16's 65504.
    """
    # Checked in float32, since float16 is slow in numpy. Comparisons with NaN are false.
    if not max(x.max(initial=0), -x.min(initial=0)) < _FLOAT16_END:
        raise NotFinite
    return x.astype(np.float16)


# What a block's largest magnitude is divided by to try a scale: 8 uses the lone level -8, 7 is
# plain min-max, smaller ones clip the largest value and spend the levels on the others.
_DIVISORS = (8.0, 7.5, 7.0, 6.5, 6.0)


def int4_blocks(
    x: NDArray[np.float32], block: int
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Symmetric int4, levels -8..7, each block of a row with the scale of least squared error.

    Tried are the block's largest magnitude over each of `_DIVISORS`, and for the levels of the
    best of them the least-squares scale sum(x q) / sum(q q). Scales are positive, since XNNPACK
    takes no others, and are rounded to float16 before they are used. A block of zeros has
    scale 1.

    Args:
        x: [rows, cols], cols a multiple of `block`.

    Returns:
        uint8 [rows, cols / 2], two values a byte, the first in the low four bits; and the
        scales, [rows, cols / block].

    Raises:
        NotFinite: x has a NaN or an infinity, or values that no float16 scale reaches.
    """
    rows, cols = x.shape
    w = x.reshape(rows * cols // block, block)
    largest = absmax_rows(w)
    scales = [_half(largest / np.float32(divisor)) for divisor in _DIVISORS]
    best = scales[0]
    error = _int4_error(w, best)
    for scale in scales[1:]:
        candidate = _int4_error(w, scale)
        better = candidate < error
        best, error = np.where(better, scale, best), np.where(better, candidate, error)
    levels = _int4_levels(w, best)
    squares = np.einsum("ij,ij->i", levels, levels)
    products = np.einsum("ij,ij->i", levels, w)
    fitted = _half(np.where(products > 0, products / np.maximum(squares, 1), best))
    best = np.where(_int4_error(w, fitted) < error, fitted, best)
    pairs: NDArray[np.uint8] = _int4_levels(w, best).astype(np.int8).view(np.uint8)
    pairs = pairs.reshape(rows, cols // 2, 2)
    packed = (pairs[..., 0] & 15) | (pairs[..., 1] << 4)
    return packed.view(np.uint8), best.astype(np.float16).reshape(rows, cols // block)


def _half(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to float16; zeros, and what float16 would make zero, become 1."""
    with np.errstate(over="ignore"):
        rounded = scale.astype(np.float16).astype(np.float32)
    if not np.isfinite(rounded).all():
        raise NotFinite
    rounded[rounded == 0] = 1
    return rounded


def _int4_levels(w: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """round_half_even(w / scale) within -8..7, as float32."""
    levels = w / scale[:, None]
    np.rint(levels, out=levels)
    return np.clip(levels, -8, 7, out=levels)


def _int4_error(w: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared error of each block at a scale."""
    levels = _int4_levels(w, scale)
    levels *= scale[:, None]
    levels -= w
    error: NDArray[np.float32] = np.einsum("ij,ij->i", levels, levels)
    return error
