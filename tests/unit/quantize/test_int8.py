"""int8 kernels against their definition, value by value in plain Python."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from safetensors import safe_open

from litertlm.quantize.kernels import SMALLEST, NotFinite, int8_rows
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from recorder import Recorder
from tiny import MODELS, write_checkpoint

ROWS = arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Values of 16-bit checkpoints, and values at which rounding changes.
HALVES = st.integers(-254, 254).map(lambda n: n / 2)
FLOAT16 = st.floats(width=16, allow_nan=False, allow_infinity=False)


def definition(row: NDArray[np.float32]) -> tuple[list[int], np.float32]:
    """scale = absmax / 127 and q = round-half-even(x / scale), all in float32."""
    absmax = max(abs(value) for value in row)
    if absmax < SMALLEST:
        return [0] * len(row), np.float32(1)
    scale = np.float32(absmax / np.float32(127))
    return [round(float(np.float32(value / scale))) for value in row], scale


@given(arrays.arrays(np.float32, ROWS, elements=FINITE | HALVES | FLOAT16))
def test_rows_equal_the_definition(x: NDArray[np.float32]) -> None:
    q, scale = int8_rows(x.copy())
    for row, values, factor in zip(x, q, scale, strict=True):
        expected, expected_scale = definition(row)
        assert values.tolist() == expected
        assert factor == expected_scale
        assert abs(values.astype(int)).max() <= 127


@given(
    arrays.arrays(np.float32, ROWS, elements=FINITE),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.data(),
)
def test_nan_and_infinity_are_refused(
    x: NDArray[np.float32], bad: float, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, x.shape[0] - 1))
    x[row, data.draw(st.integers(0, x.shape[1] - 1))] = bad
    with pytest.raises(NotFinite):
        int8_rows(x)


@given(arrays.arrays(np.float32, (4, 6), elements=FINITE), st.integers(1, 3))
def test_blocks_of_rows_do_not_change_the_result(x: NDArray[np.float32], cut: int) -> None:
    at_once, scale = int8_rows(x.copy())
    parts = [int8_rows(part.copy()) for part in (x[:cut], x[cut:])]
    assert np.array_equal(at_once, np.concatenate([q for q, _ in parts]))
    assert np.array_equal(scale, np.concatenate([s for _, s in parts]))


@pytest.mark.parametrize(
    "name", ["llama-gqa-tied", "llama-bias-untied-linear", "qwen2-sliding-untied"]
)
def test_bundle_holds_what_the_definition_gives(name: str, tmp_path: Path) -> None:
    source = write_checkpoint(MODELS[name], tmp_path / "checkpoint")  # BF16, F32 and F16
    options = ConvertOptions(kv_cache_max_len=64)
    convert(source, tmp_path / "model.litertlm", options, progress=Recorder())
    layout = plan_conversion(source, options).layouts[0]
    bundle = (tmp_path / "model.litertlm").read_bytes()
    start = len(bundle) - layout.nbytes
    matrices = [weight for weight in layout.weights if weight.encoding.name == "int8"]
    assert len(matrices) > 10
    for weight in matrices[::3]:
        stored = _read(source / "model.safetensors", weight.constant.name)
        if not weight.constant.name.endswith(("embed_tokens.weight", "lm_head.weight")):
            stored = rotated(stored)
        assert weight.scales is not None
        rows, _ = stored.shape
        q = np.frombuffer(bundle, np.int8, stored.size, start + weight.offset)
        scale = np.frombuffer(bundle, np.float32, rows, start + weight.scales)
        for row, values, factor in zip(stored, q.reshape(stored.shape), scale, strict=True):
            assert (values.tolist(), factor) == definition(row)


def rotated(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is quantized in place of a linear layer's weight: W H / 32 in blocks of 32 columns,
    after W was rounded to 2**18 levels of each row's absmax; in integers, so without error."""
    order = np.arange(32)
    ones = np.array([[(i & j).bit_count() % 2 for j in order.tolist()] for i in order.tolist()])
    signs = np.array([1 - 2 * int(bit) for bit in f"{0xCE2279DE:032b}"])
    hadamard = (1 - 2 * ones) * signs * signs[:, None]
    step = np.abs(x).max(1, keepdims=True) / np.float32(2**18)
    levels = np.rint(x / step).astype(np.int64).reshape(len(x), -1, 32)
    rotated = (levels @ hadamard).reshape(x.shape).astype(np.float32)
    return rotated * (step / np.float32(32))


def _read(file: Path, name: str) -> NDArray[np.float32]:
    """One tensor by the safetensors library; bfloat16 widened by hand."""
    with safe_open(file, framework="np") as tensors:
        if tensors.get_slice(name).get_dtype() != "BF16":
            return np.asarray(tensors.get_tensor(name), np.float32)
        shape = tensors.get_slice(name).get_shape()
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8 : 8 + size])[name]["data_offsets"]
    bits = np.frombuffer(data, "<u2", (end - begin) // 2, 8 + size + begin)
    return (bits.astype("<u4") << 16).view("<f4").reshape(shape)
