"""Weights on a 4-bit grid keep their levels and scales."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from litertlm.graph import Constant, DType
from litertlm.quantize.int4_grid import Grid, find_grid, grid_blocks, grid_levels, grid_shifts
from litertlm.quantize.kernels import NotFinite, int4_blocks
from litertlm.quantize.rotate import rotated_weight
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from recorder import Recorder
from tiny import MODELS, write_checkpoint, write_safetensors
from tiny.checkpoint import tensor_values
from tiny.gguf_file import write_gguf
from tiny.shapes import tensor_shapes

BLOCK = 32
Q4_0 = gguf.GGMLQuantizationType.Q4_0
MODEL = MODELS["llama-gqa-tied"]


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Two values a byte, the first in the low four bits."""
    pairs = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.int64)
    return np.where(pairs > 7, pairs - 16, pairs).reshape(len(packed), -1)


def q4_0(stored: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Levels [rows, cols] and scales [rows, cols / 32] of rows of Q4_0, by ggml's definition.

    A block is a float16 and 16 bytes: values 0 to 15 in the low and 16 to 31 in the high bits.
    """
    blocks = stored.reshape(len(stored), -1, 18)
    scales = blocks[..., :2].copy().view(np.float16)[..., 0]
    packed = blocks[..., 2:]
    levels = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.int64) - 8
    return levels.reshape(len(stored), -1), scales


def expected(
    levels: NDArray[np.int64], scales: NDArray[np.float16]
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """The same grid with positive scales: signs move to the levels, and blocks that then have a
    level of 8 are stored minus 1."""
    positive = levels * np.repeat(np.where(scales < 0, -1, 1), BLOCK, axis=1)
    blocks = positive.reshape(-1, BLOCK)
    return (blocks - (blocks.max(axis=1) == 8)[:, None]).reshape(levels.shape), np.abs(scales)


def rounded(values: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """Values as a checkpoint of this type has them."""
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    if dtype == "F32":
        return values
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def restored(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a layer computes with: levels times scales, and what they lack."""
    packed, scales = grid_blocks(x.copy())
    lacking = grid_shifts(weight(x)).read()
    values = unpack(packed) * np.repeat(scales.astype(np.float32), BLOCK, axis=1)
    return (values + np.repeat(lacking, BLOCK, axis=1)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_levels_are_those_of_q4_0(dtype: str) -> None:
    x = np.random.RandomState(3).standard_normal((64, 8 * BLOCK)).astype(np.float32) * 0.05
    stored = quantize(x, Q4_0)
    levels, scales = expected(*q4_0(stored))
    original = dequantize(stored, Q4_0)
    values = rounded(original, dtype)
    packed, found = grid_blocks(values.copy())
    np.testing.assert_array_equal(unpack(packed), levels)
    # Where values were rounded to bfloat16, so were the scales, as XNNPACK does to any.
    error = np.abs(found.astype(np.float32) / scales.astype(np.float32) - 1)
    assert error.max() <= (2**-8 if dtype == "BF16" else 0)
    np.testing.assert_allclose(
        restored(values), original, rtol=2**-8 if dtype == "BF16" else 0, atol=0
    )


@given(st.lists(st.integers(-8, 7), min_size=BLOCK, max_size=BLOCK), st.integers(200, 30000))
def test_values_with_positive_scales_are_exact(levels: list[int], bits: int) -> None:
    scale = np.array([bits], np.uint16).view(np.float16).astype(np.float32)
    if not 1e-5 < scale[0] < 1000:
        return
    # The second block needs more bits than float16 has, so that the first counts as not rounded.
    x = np.array([levels, list(range(-8, 8)) * 2], np.float32)
    x[0] *= scale
    x[1] *= np.float16(0.1)
    np.testing.assert_array_equal(restored(x), x)


def test_a_lone_positive_value_needs_no_level_of_8() -> None:
    x = np.zeros((1, BLOCK), np.float32)
    x[0, 5] = 0.7
    assert grid_levels(x.copy()).levels[0, 5] == 1
    assert not grid_shifts(weight(x)).read().any()
    assert np.abs(restored(x) - x).max() < 0.7 * 2**-11


def test_blocks_on_no_grid_are_searched() -> None:
    x = np.random.RandomState(5).standard_normal((8, 4 * BLOCK)).astype(np.float32)
    on = dequantize(quantize(x, Q4_0), Q4_0)
    x[:, : 2 * BLOCK] = on[:, : 2 * BLOCK]
    grid = grid_levels(x.reshape(-1, BLOCK))
    assert grid.fits.reshape(8, 4).tolist() == [[True, True, False, False]] * 8
    packed, scales = grid_blocks(x.copy())
    searched, searched_scales = int4_blocks(x[:, 2 * BLOCK :].copy(), BLOCK)
    np.testing.assert_array_equal(packed[:, BLOCK:], searched)
    np.testing.assert_array_equal(scales[:, 2:], searched_scales)
    assert not grid_shifts(weight(x)).read()[:, 2:].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_has_no_value_is_refused(bad: float) -> None:
    x = np.ones((2, BLOCK), np.float32)
    x[1, 3] = bad
    with pytest.raises(NotFinite):
        grid_blocks(x)


def weight(values: NDArray[np.float32]) -> Constant:
    return Constant("w", values.shape, DType.FLOAT32, lambda a, b: values[a:b].copy())


def test_which_weights_are_on_a_grid() -> None:
    x = np.random.RandomState(6).standard_normal((9, 2 * BLOCK)).astype(np.float32)
    on = dequantize(quantize(x, Q4_0), Q4_0)
    assert find_grid(weight(on)) == Grid(reaches_8=True)
    assert find_grid(weight(x)) is None
    assert find_grid(weight(x * 0)) is None
    assert find_grid(weight(on[:, :40])) is None
    for row in (0, 4, 8):
        mixed = on.copy()
        mixed[row] = x[row]
        assert find_grid(weight(mixed)) is None
    nearly = np.tile(on, (1, 8))
    nearly[0, 3] *= 1.07
    assert find_grid(weight(nearly)) is not None
    with_zeros = on.copy()
    with_zeros[0] = 0
    assert find_grid(weight(with_zeros)) is not None
    seven = np.random.RandomState(7).randint(-8, 8, (9, 2 * BLOCK)).astype(np.float32)
    assert find_grid(weight(seven * np.float32(0.125))) == Grid(reaches_8=False)


@pytest.mark.parametrize("source", ["gguf", "F32", "BF16"])
def test_the_levels_of_a_gguf_file_are_in_the_bundle(source: str, tmp_path: Path) -> None:
    file = write_gguf(MODEL, tmp_path / "model.gguf", matrices=Q4_0)
    path = file
    floats = {}
    for name, shape in tensor_shapes(MODEL).items():
        values = tensor_values(MODEL, name, shape).astype(np.float32)
        floats[name] = values if values.ndim == 1 else dequantize(quantize(values, Q4_0), Q4_0)
    if source != "gguf":
        path = write_checkpoint(MODEL, tmp_path / "folder", chat_template=None)
        write_safetensors(path / "model.safetensors", floats, source)
    plan = plan_conversion(path, ConvertOptions(recipe="dynamic_int4", kv_cache_max_len=64))
    (layout,) = plan.layouts
    weights = {placed.constant.name: placed for placed in layout.weights}
    linear = [name for name in floats if name.endswith("_proj.weight")]
    assert len(linear) == 14
    assert plan.kept_grids == (14, 14)
    for name in linear:
        placed = weights[name]
        assert placed.encoding.bits == 4
        packed, scales = placed.encoding.encode(placed.constant.read())
        assert scales is not None
        levels, exact = expected(
            *q4_0(
                quantize(
                    tensor_values(MODEL, name, tensor_shapes(MODEL)[name]).astype(np.float32), Q4_0
                )
            )
        )
        np.testing.assert_array_equal(unpack(packed), levels, err_msg=name)
        np.testing.assert_allclose(scales, exact, rtol=2**-8 if source == "BF16" else 0)
        assert weights[f"{name}.shift"].encoding.bits == 8


def test_conversion_says_that_levels_are_kept(tmp_path: Path) -> None:
    file = write_gguf(MODEL, tmp_path / "model.gguf", matrices=Q4_0)
    progress = Recorder()
    options = ConvertOptions(recipe="dynamic_int4", kv_cache_max_len=64)
    convert(file, tmp_path / "m.litertlm", options, progress=progress)
    line = "14 of 14 linear layers are on a 4-bit grid already: their levels are kept."
    assert line in progress.lines


def test_other_weights_are_rotated(tmp_path: Path) -> None:
    folder = write_checkpoint(MODEL, tmp_path / "folder", chat_template=None)
    plans = {
        recipe: plan_conversion(folder, ConvertOptions(recipe=recipe, kv_cache_max_len=64))
        for recipe in ("dynamic_int4", "dynamic_int8")
    }
    assert [plan.kept_grids for plan in plans.values()] == [(0, 14), (0, 0)]
    name = "model.layers.0.mlp.down_proj.weight"
    rows = [
        next(w.constant.read() for w in plan.layouts[0].weights if w.constant.name == name)
        for plan in plans.values()
    ]
    np.testing.assert_array_equal(*rows)


def test_weights_on_a_grid_lose_nothing_and_rotated_ones_would() -> None:
    x = np.random.RandomState(8).standard_normal((64, 8 * BLOCK)).astype(np.float32) * 0.05
    on = dequantize(quantize(x, Q4_0), Q4_0)
    np.testing.assert_array_equal(restored(on), on)
    rotated = rotated_weight(weight(on)).read()
    packed, scales = int4_blocks(rotated.copy(), BLOCK)
    values = unpack(packed) * np.repeat(scales.astype(np.float32), BLOCK, axis=1)
    assert np.square(values - rotated).sum() > 0.001 * np.square(rotated).sum()
