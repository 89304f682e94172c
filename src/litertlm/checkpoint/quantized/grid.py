"""Weights whose values are multiplied by a grid of scales, after a grid of zero points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.quantized.parts import FLOAT8, Rows, floats, rows_of, values
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.errors import DamagedCheckpoint

Grid = Callable[[int, int], NDArray[np.float32]]
"""Rows `[start, stop)` of a grid, [stop - start, G]."""


@dataclass(frozen=True)
class Layout:
    """Which values share a scale.

    Attributes:
        grid: [rows, G] of the grid of scales.
        block: [rows, columns] of the weight for each scale; the last ones may be smaller.
        group_of: the column of the grid for each column of the weight, where groups are not
            consecutive.
    """

    grid: tuple[int, int]
    block: tuple[int, int]
    group_of: NDArray[np.int64] | None = None

    def expanded(self, grid: Grid, start: int, stop: int, width: int) -> NDArray[np.float32]:
        """The grid's values for rows `[start, stop)` of the weight: [n, width] or [n, 1]."""
        tall, wide = self.block
        first = start // tall
        part = grid(first, -(-stop // tall))
        if tall > 1:
            part = part[np.arange(start, stop) // tall - first]
        if self.group_of is not None:
            return part[:, self.group_of]
        return part if part.shape[1] == 1 else np.repeat(part, wide, axis=1)[:, :width]


def layout(
    weight: str,
    shape: tuple[int, int],
    scale: tuple[int, ...],
    block: tuple[int, int] | None = None,
) -> Layout:
    """The layout of a weight [out, in] from the shape of its scales.

    Args:
        scale: [], [1], [out], or a grid [rows, G].
        block: of the config, which may leave smaller blocks at the ends.

    Raises:
        DamagedCheckpoint: the grid does not fit the weight.
    """
    out, width = shape
    scale = (*scale, 1, 1)[:2] if len(scale) < 2 else scale
    rows, groups = scale[0], scale[-1]
    if len(scale) == 2 and rows and groups:
        if block is not None and (-(-out // block[0]), -(-width // block[1])) == scale:
            return Layout((rows, groups), block)
        if out % rows == 0 and width % groups == 0:
            return Layout((rows, groups), (out // rows, width // groups))
    raise DamagedCheckpoint(
        f"The scales of {weight} do not fit it.",
        why=f"The weight is {list(shape)}, its scales are {list(scale)}"
        + (f", its blocks {list(block)}." if block else "."),
    )


def grid_of(part: SafetensorsTensor, layout: Layout) -> Grid:
    """A grid that is stored as a tensor of scales."""
    groups = layout.grid[1]
    return lambda start, stop: floats(part, start * groups, stop * groups).reshape(-1, groups)


def integer_grid(part: SafetensorsTensor, layout: Layout) -> Grid:
    """A grid that is stored as a tensor of integers."""
    groups = layout.grid[1]

    def read(start: int, stop: int) -> NDArray[np.float32]:
        stored = values(part, start * groups, stop * groups)
        return stored.reshape(-1, groups).astype(np.float32)

    return read


def scaled_rows(
    decode: Rows, layout: Layout, scales: Grid, width: int, zeros: Grid | None = None
) -> Rows:
    """`(q - zero) * scale` in float32, for blocks of rows."""

    def read(start: int, stop: int) -> NDArray[np.float32]:
        block = decode(start, stop)
        if zeros is not None:
            block -= layout.expanded(zeros, start, stop, width)
        block *= layout.expanded(scales, start, stop, width)
        return block

    return read


def plain_values(part: SafetensorsTensor) -> Rows:
    """Values of one byte each: FP8 or integers, as float32."""
    table = FLOAT8.get(part.dtype)

    def read(start: int, stop: int) -> NDArray[np.float32]:
        stored: NDArray[Any] = rows_of(part, start, stop)
        return stored.astype(np.float32) if table is None else table[stored]

    return read
