"""int4 blocks and float16 against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from litertlm.quantize.kernels import NotFinite, float16_rows, int4_blocks

BLOCK = 32
VALUES = st.floats(-1000, 1000, width=32)
MATRICES = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: arrays.arrays(np.float32, (shape[0], shape[1] * BLOCK), elements=VALUES)
)


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Two values a byte, the first in the low four bits, as the TFLite schema has INT4."""
    pairs = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.int64)
    return np.where(pairs > 7, pairs - 16, pairs).reshape(len(packed), -1)


def restore(packed: NDArray[np.uint8], scales: NDArray[np.float16]) -> NDArray[np.float32]:
    return unpack(packed) * np.repeat(scales.astype(np.float32), BLOCK, axis=1)


def minmax_error(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared error of each block with scale = float16(absmax / 7)."""
    w = x.reshape(-1, BLOCK)
    scale = (np.abs(w).max(1) / np.float32(7)).astype(np.float16).astype(np.float32)
    scale[scale == 0] = 1
    levels = np.clip(np.rint(w / scale[:, None]), -8, 7)
    return np.square(levels * scale[:, None] - w).sum(1, dtype=np.float64)


@given(MATRICES)
def test_never_worse_than_min_max(x: NDArray[np.float32]) -> None:
    packed, scales = int4_blocks(x.copy(), BLOCK)
    assert packed.shape == (x.shape[0], x.shape[1] // 2)
    assert scales.shape == (x.shape[0], x.shape[1] // BLOCK)
    assert (scales > 0).all()
    error = np.square(restore(packed, scales) - x).reshape(-1, BLOCK).sum(1, dtype=np.float64)
    assert (error <= minmax_error(x) * (1 + 1e-5) + 1e-12).all()


def test_chosen_scales_beat_min_max_on_normal_weights() -> None:
    x = np.random.RandomState(0).standard_normal((64, 8 * BLOCK)).astype(np.float32)
    error = np.square(restore(*int4_blocks(x.copy(), BLOCK)) - x).sum()
    assert error < 0.9 * minmax_error(x).sum()


@given(st.lists(st.integers(-8, 7), min_size=BLOCK, max_size=BLOCK))
def test_values_on_the_grid_are_exact(levels: list[int]) -> None:
    levels[0] = -8
    x = np.array([levels], np.float32) / 4
    assert np.array_equal(restore(*int4_blocks(x.copy(), BLOCK)), x)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_what_has_no_value_is_refused(bad: float) -> None:
    x = np.ones((2, BLOCK), np.float32)
    x[1, 3] = bad
    with pytest.raises(NotFinite):
        int4_blocks(x, BLOCK)
    with pytest.raises(NotFinite):
        float16_rows(x)


@given(arrays.arrays(np.float32, (3, 5), elements=st.floats(-65504, 65504, width=32)))
def test_float16_is_the_nearest(x: NDArray[np.float32]) -> None:
    y = float16_rows(x).astype(np.float32)
    assert (np.abs(y - x) <= np.maximum(np.abs(x) * 2**-11, 2**-25)).all()


def test_float16_takes_all_that_rounds_to_a_finite_value_and_no_more() -> None:
    below = np.nextafter(np.float32(65520), np.float32(0))
    largest = np.array([[below, -below]], np.float32)
    assert float16_rows(largest).tolist() == [[65504, -65504]]
    for value in (65520, -65520):
        with pytest.raises(NotFinite):
            float16_rows(np.array([[0, value]], np.float32))
