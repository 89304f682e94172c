"""Quantization of blocks of rows, in numpy. Pure functions; definitions in the docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A row whose largest magnitude is below this cannot be scaled by a normal float32: it is zero.
SMALLEST = np.float32(127 * np.finfo(np.float32).tiny)


class NotFinite(ValueError):
    """A weight is NaN or infinite; it has no quantized value."""


def int8_rows(x: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric per-row int8: scale = absmax / 127, q = round_half_even(x / scale).

    Args:
        x: [rows, cols]; overwritten.

    Returns:
        q int8 [rows, cols] in [-127, 127] and scale float32 [rows]; a row of zeros has scale 1.

    Raises:
        NotFinite: x has a NaN or an infinity.
    """
    absmax = np.maximum(x.max(axis=1), -x.min(axis=1))
    # NaN and infinities reach absmax, so that one look at it is enough.
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
