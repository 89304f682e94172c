"""Weights that are on a 4-bit grid already, as QAT checkpoints and GGUF files of type Q4_0 have it.

A block of 32 values is on a grid if all are multiples of one number, from -8 to 8 times. Such
blocks keep their scale and their levels, where the search for the least squared error would find
other ones, and a rotation would leave the grid. The grid is found in the values, which may have
been rounded to bfloat16 or float16 since.

Q4_0 (ggml, `quantize_row_q4_0_ref`) has scales of either sign, so that the value with the largest
magnitude is level -8. XNNPACK takes no negative scales, and with a positive one that value is
level 8, which int4 has not. The levels of such a block are stored minus 1, and the model adds what
is missing, scale times the sum of the block's inputs (quantize/level_shift.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from litertlm.graph import Constant
from litertlm.quantize.kernels import SMALLEST, absmax_rows, int4_blocks

BLOCK = 32
_TOP = 8  # the largest magnitude of a level; that of most blocks of Q4_0
# Rows of a weight that tell whether it is on a grid, and how many of their blocks must be on one:
# a few of a QAT checkpoint may not be, and of other weights practically none is.
_SAMPLES = 3
_ENOUGH = 0.9
# Values whose shifts are computed at once: 2 MB of float32.
_PIECE = 1 << 19


@dataclass(frozen=True)
class Grid:
    """What a few rows say of a weight that is on a grid.

    Attributes:
        reaches_8: some of their blocks have level 8.
    """

    reaches_8: bool


@dataclass(frozen=True)
class Levels:
    """The grids of blocks.

    Attributes:
        fits: [n], whether a block is on a grid; blocks of zeros are on none.
        levels: [n, BLOCK], -8 to 8, for those that fit.
        scales: float16 [n]; 1 for the others.
    """

    fits: NDArray[np.bool_]
    levels: NDArray[np.int8]
    scales: NDArray[np.float16]

    @property
    def shifted(self) -> NDArray[np.bool_]:
        """[n], which blocks are stored with their levels minus 1."""
        words = self.levels.view(np.uint64)
        eights: NDArray[np.uint64] = words & ~(
            words >> np.uint64(4)
        )  # bit 3 of a byte that has no bit 7: 8, and not -8
        return _any_bit(eights, _TOP)


def find_grid(weight: Constant) -> Grid | None:
    """Whether nearly all blocks of some rows of a weight [rows, cols] are on grids.

    Reads the first row, the last one, and one between. Blocks of zeros do not count.
    """
    rows, cols = weight.shape
    if cols % BLOCK or not rows:
        return None
    blocks = fitting = 0
    reaches_8 = False
    for row in sorted({round(i * (rows - 1) / (_SAMPLES - 1)) for i in range(_SAMPLES)}):
        values = weight.rows(row, row + 1).reshape(-1, BLOCK)
        grid = grid_levels(values)
        blocks += int(np.count_nonzero(absmax_rows(values)))
        fitting += int(np.count_nonzero(grid.fits))
        reaches_8 = reaches_8 or bool(grid.shifted.any())
    return Grid(reaches_8) if fitting and fitting >= _ENOUGH * blocks else None


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
    grid = grid_levels(w)
    pairs = (grid.levels - grid.shifted[:, None].astype(np.int8)).view(np.uint8)
    packed = ((pairs[:, ::2] & 15) | (pairs[:, 1::2] << 4)).view(np.uint8)
    scales = grid.scales
    if not grid.fits.all():
        others, other_scales = int4_blocks(w[~grid.fits], BLOCK)
        packed[~grid.fits] = others
        scales[~grid.fits] = other_scales[:, 0]
    return packed.reshape(rows, cols // 2), scales.reshape(rows, cols // BLOCK)


def grid_shifts(weight: Constant) -> Constant:
    """What the levels of `grid_blocks` lack of a weight [rows, cols], for each block.

    Returns:
        float32 [rows, cols / BLOCK]: the scale of a block whose levels are stored minus 1, else 0.
    """
    rows, cols = weight.shape

    def shifts(start: int, stop: int) -> NDArray[np.float32]:
        result = np.empty((stop - start, cols // BLOCK), np.float32)
        step = max(1, _PIECE // cols)  # so that memory does not grow with the number of rows
        for first in range(start, stop, step):
            last = min(first + step, stop)
            grid = grid_levels(weight.rows(first, last).reshape(-1, BLOCK))
            missing = np.where(grid.shifted, grid.scales.astype(np.float32), 0)
            result[first - start : last - start] = missing.reshape(last - first, -1)
        return result

    name, shape = f"{weight.name}.shift", (rows, cols // BLOCK)
    return replace(weight, name=name, shape=shape, rows=shifts)


def grid_levels(w: NDArray[np.float32]) -> Levels:
    """The grids of the blocks of w [n, BLOCK].

    The largest magnitude of a block is taken as 8, 7, ..., 1 times the scale. Two of these cannot
    both fit: a value would have to be within 1/16 of a level of both, and their levels of a value
    differ by whole eighths, sevenths and so on. The scale is that of least squared error, rounded
    to float16. (XNNPACK rounds it to bfloat16, its own or that of the values that it gives.)
    """
    largest = absmax_rows(w)
    bound = 2 * _half_unit(w)  # the value itself and the largest one have both been rounded
    found = Levels(
        np.zeros(len(w), np.bool_), np.zeros(w.shape, np.int8), np.ones(len(w), np.float16)
    )
    left = np.flatnonzero((largest >= SMALLEST) & np.isfinite(largest))
    for times in range(_TOP, 0, -1):
        if not left.size:
            break
        complete = len(left) == len(w)
        part, top = (w, largest) if complete else (w[left], largest[left])
        exact = part * (np.float32(times) / top)[:, None]
        levels = np.rint(exact)
        exact -= levels
        good = absmax_rows(exact) <= bound * np.float32(times)
        if not good.all():
            part, levels = part[good], levels[good]
        small = levels.astype(np.int8)
        if times == _TOP and _halve(small):
            levels = small.astype(np.float32)
        scales = _fitted_scales(part, levels)
        usable = (scales > 0) & np.isfinite(scales)
        chosen = left[good][usable]
        found.fits[chosen] = True
        found.levels[chosen], found.scales[chosen] = small[usable], scales[usable]
        left = left[~good]
    return found


def _fitted_scales(w: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float16]:
    """The scales of least squared error of blocks with a level that is not 0."""
    products = np.einsum("ij,ij->i", levels, w)
    products /= np.einsum("ij,ij->i", levels, levels)
    with np.errstate(over="ignore"):
        scales: NDArray[np.float16] = products.astype(np.float16)
    return scales


def _halve(levels: NDArray[np.int8]) -> bool:
    """Halve, in place, the blocks that have even levels only, such as a lone 8; whether any has."""
    even = np.flatnonzero(~_any_bit(levels.view(np.uint64), 1))
    found = bool(even.size)
    while even.size:
        levels[even] //= 2
        even = even[~_any_bit(levels[even].view(np.uint64), 1)]
    return found


def _any_bit(words: NDArray[np.uint64], bit: int) -> NDArray[np.bool_]:
    """Which rows of words [n, BLOCK / 8] have a bit set in one of their bytes: faster than to
    reduce rows of 32 bytes."""
    united = words[:, 0] | words[:, 1] | words[:, 2] | words[:, 3]
    found: NDArray[np.bool_] = united & np.uint64(bit * 0x0101010101010101) != 0
    return found


def _half_unit(w: NDArray[np.float32]) -> np.float32:
    """Half a unit in the last place of 1, of what the values were rounded to: bfloat16, float16 or
    nothing, by the bits that they use."""
    used = int(np.bitwise_or.reduce(w.view(np.uint32), axis=None))
    bits = 8 if used & 0xFFFF == 0 else 11 if used & 0x1FFF == 0 else 22
    half: np.float32 = np.exp2(np.float32(-bits))
    return half
