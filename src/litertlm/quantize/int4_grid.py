"""Weights that are on a 4-bit grid already, as QAT checkpoints and GGUF files of type Q4_0 have it.

A block of 32 values is on a grid if all are multiples of one number, from -8 to 8 times. Such
blocks keep their scale and their levels, where the search for the least squared error would find
other ones, and a rotation would leave the grid. The grid is found in the values, which may have
been rounded to bfloat16 or float16 since.

Q4_0 (ggml, `quantize_row_q4_0_ref`) has scales of either sign, so that the value with the largest
magnitude is level -8. XNNPACK takes no negative scales: with the opposite sign that value would be
level 8, and gets level 7. The other values of the block are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.graph import Constant
from litertlm.quantize.kernels import SMALLEST, absmax_rows, int4_blocks

BLOCK = 32
_TOP = 8  # the largest magnitude of a level
# Whether the scale must give the values exactly, the level of the largest magnitude, and whether
# that may be 8.
_TRIALS = [
    (exact, times, clips)
    for exact in (True, False)
    for times, clips in (*((times, False) for times in range(_TOP, 0, -1)), (_TOP, True))
]
# Rows of a weight that tell whether it is on a grid.
_SAMPLES = 3


def on_grid(weight: Constant) -> bool:
    """Whether all blocks of some rows of a weight [rows, cols] are on grids, not all of them zero.

    Reads the first row, the last one, and one between.
    """
    rows, cols = weight.shape
    if cols % BLOCK or not rows:
        return False
    found = False
    for row in sorted({round(i * (rows - 1) / (_SAMPLES - 1)) for i in range(_SAMPLES)}):
        blocks = weight.rows(row, row + 1).reshape(-1, BLOCK)
        fits, _ = grid_scales(blocks)
        empty = absmax_rows(blocks) == 0
        if not (fits | empty).all():
            return False
        found = found or bool(fits.any())
    return found


def grid_blocks(x: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """int4 with the scales of the grid; blocks that are on none as `int4_blocks` stores them.

    Args:
        x: [rows, cols], cols a multiple of BLOCK.

    Returns:
        uint8 [rows, cols / 2] and scales [rows, cols / BLOCK], as `int4_blocks`.

    Raises:
        NotFinite: as `int4_blocks`.
    """
    rows, cols = x.shape
    w = x.reshape(-1, BLOCK)
    fits, scales = grid_scales(w)
    levels = np.rint(w[fits] / scales[fits, None].astype(np.float32))
    pairs = np.clip(levels, -_TOP, _TOP - 1).astype(np.int8).view(np.uint8)
    packed = np.empty((len(w), BLOCK // 2), np.uint8)
    packed[fits] = (pairs[:, ::2] & 15) | (pairs[:, 1::2] << 4)
    if not fits.all():
        others, other_scales = int4_blocks(w[~fits], BLOCK)
        packed[~fits] = others
        scales[~fits] = other_scales[:, 0]
    return packed.reshape(rows, cols // 2), scales.reshape(rows, cols // BLOCK)


def grid_scales(w: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
    """Which blocks of w [n, BLOCK] are on a grid, and their scales [n].

    Blocks of zeros are on none. The largest magnitude of a block is taken as 8, 7, ..., 1 times
    the scale, then as 8 times where that makes a level of 8, which int4 has not: first with
    scales that give the values exactly, then with the nearest ones.
    """
    largest = absmax_rows(w)
    fine, rounded = _precision(w)
    fits = np.zeros(len(w), np.bool_)
    scales = np.ones(len(w), np.float16)
    left = np.flatnonzero((largest >= SMALLEST) & np.isfinite(largest))
    for exact, times, clips in _TRIALS:
        if not left.size:
            break
        part, top = w[left], largest[left]
        step = (top / np.float32(times))[:, None]
        levels = np.rint(part / step)
        # The value itself and the largest one have both been rounded.
        good = (np.abs(part - levels * step) <= (2 * fine * top[:, None])).all(axis=1)
        if not clips:
            good &= levels.max(axis=1) < _TOP
        part, levels, candidates = part[good], levels[good], left[good]
        scale, gives_values = _scale(part, levels, fine, rounded)
        usable = (scale > 0) & np.isfinite(scale)
        if exact:
            usable &= gives_values
        good[good] = usable
        fits[candidates[usable]] = True
        scales[candidates[usable]] = scale[usable]
        left = left[~good]
    return fits, scales


_Rounded = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _precision(w: NDArray[np.float32]) -> tuple[np.float32, _Rounded]:
    """What the values were rounded to: bfloat16, float16 or nothing, by the bits that they use.

    Returns:
        half a unit in the last place of 1, and the rounding.
    """
    used = np.bitwise_or.reduce(w.view(np.uint32), axis=None)
    if used & 0xFFFF == 0:
        return np.float32(2**-8), _bfloat16
    if used & 0x1FFF == 0:
        return np.float32(2**-11), lambda x: x.astype(np.float16).astype(np.float32)
    return np.float32(2**-22), lambda x: x


def _bfloat16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    bits = x.view(np.uint32)
    upper = (bits + (0x7FFF + (bits >> 16 & 1))) & np.uint32(0xFFFF0000)
    values: NDArray[np.float32] = upper.view(np.float32)
    return values


def _scale(
    w: NDArray[np.float32], levels: NDArray[np.float32], fine: np.float32, rounded: _Rounded
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """A float16 scale for each block, and whether it gives the values after their rounding."""
    times, magnitude = np.abs(levels), np.abs(w)
    unit = np.exp2(np.floor(np.log2(np.maximum(magnitude, SMALLEST)))) * fine
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # Below a power of two the values are twice as close.
        below = np.where(w.view(np.uint32) & 0x7FFFFF == 0, unit / 2, unit)
        low = np.where(times > 0, (magnitude - below) / times, 0).max(axis=1)
        high = np.where(times > 0, (magnitude + unit) / times, np.inf).min(axis=1)
        fitted = (levels * w).sum(axis=1) / np.maximum(np.square(levels).sum(axis=1), 1)
        best = np.where(low <= high, np.clip(fitted, low, high), fitted).astype(np.float16)

    def gives_values(scale: NDArray[np.float16], rows: Any) -> NDArray[np.bool_]:
        product = levels[rows] * scale.astype(np.float32)[:, None]
        equal: NDArray[np.bool_] = (rounded(product) == w[rows]).all(axis=1)
        return equal

    exact = gives_values(best, slice(None))
    for end in (0, np.inf):
        rows = np.flatnonzero(~exact)
        other = np.nextafter(best[rows], np.float16(end))
        better = gives_values(other, rows)
        best[rows[better]] = other[better]
        exact[rows[better]] = True
    return best, exact
