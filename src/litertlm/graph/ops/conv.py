"""Convolutions, pooling and resizing of images [N, H, W, C] and sequences [N, S, C].

Padding is VALID (none) or SAME (zeros, so that a stride of 1 keeps the size), as TFLite has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from litertlm.graph.ops.operation import (
    FLOAT32,
    Array,
    Attrs,
    Inputs,
    Operation,
    Results,
    at_least,
    emit,
    ints,
    shared,
    want,
)
from litertlm.graph.ops.shape import divided_up, pad, reshape
from litertlm.graph.types import Size, Tensor

Pair = tuple[int, int]  # along H and along W


def conv_2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = (1, 1),
    padding: str = "VALID",
    dilation: Pair = (1, 1),
) -> Tensor:
    """x [N, H, W, I] with weight [O, h, w, I] and bias [O]: [N, H', W', O]."""
    bias = _zeros(x, weight.shape[0]) if bias is None else bias
    return emit(CONV_2D, x, weight, bias, stride=stride, padding=padding, dilation=dilation)


def depthwise_conv_2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = (1, 1),
    padding: str = "VALID",
    dilation: Pair = (1, 1),
) -> Tensor:
    """Each channel of x [N, H, W, C] with its own filters, weight [1, h, w, C*m]:
    [N, H', W', C*m]."""
    bias = _zeros(x, weight.shape[-1]) if bias is None else bias
    return emit(
        DEPTHWISE_CONV_2D, x, weight, bias, stride=stride, padding=padding, dilation=dilation
    )


def _zeros(x: Tensor, channels: Size) -> Tensor:
    """A bias of zeros: the kernels of TFLite accept convolutions without one, and fail or crash."""
    number = channels if isinstance(channels, int) else 1  # refused by the rule
    return shared(x, f"zeros{number}", np.zeros(number, np.float32))


def conv_1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    causal: bool = False,
) -> Tensor:
    """x [N, S, I] with weight [O, 1, k, I] and bias [O]: [N, S', O].

    `causal` puts k - 1 zeros before x, so that a result sees only what came before it; else the
    result is k - 1 shorter (VALID).
    """
    wide = _as_image(x, weight, causal)
    return _as_sequence(conv_2d(wide, weight, bias, stride=(1, stride)))


def depthwise_conv_1d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, causal: bool = False
) -> Tensor:
    """Each channel of x [N, S, C] with its own filter, weight [1, 1, k, C]: [N, S', C].

    `causal` is that of `conv_1d`.
    """
    return _as_sequence(depthwise_conv_2d(_as_image(x, weight, causal), weight, bias))


def _as_image(x: Tensor, weight: Tensor, causal: bool) -> Tensor:
    kernel = weight.shape[2]
    if causal and isinstance(kernel, int):
        x = pad(x, [(0, 0), (kernel - 1, 0), (0, 0)])
    return reshape(x, (x.shape[0], 1, *x.shape[1:]))


def _as_sequence(x: Tensor) -> Tensor:
    return reshape(x, (x.shape[0], *x.shape[2:]))


def _conv(inputs: Inputs, attrs: Attrs) -> Results:
    x, weight, bias = inputs
    want(all(t.dtype is FLOAT32 for t in inputs), "not float32")
    want(len(x.shape) == len(weight.shape) == 4, "not of 4 axes")
    want(x.shape[3] == weight.shape[3], "channels differ")
    want(bias.shape == weight.shape[:1], "bias is not [O]")
    return (((x.shape[0], *_spatial(x, weight.shape[1:3], attrs), weight.shape[0]), FLOAT32),)


def _depthwise_conv(inputs: Inputs, attrs: Attrs) -> Results:
    x, weight, bias = inputs
    want(all(t.dtype is FLOAT32 for t in inputs), "not float32")
    want(len(x.shape) == len(weight.shape) == 4 and weight.shape[0] == 1, "not of 4 axes")
    channels, out = x.shape[3], weight.shape[3]
    static = isinstance(channels, int) and isinstance(out, int) and out % channels == 0
    want(static, "filters are not a multiple of the channels")
    want(bias.shape == (out,), "bias is not [C*m]")
    return (((x.shape[0], *_spatial(x, weight.shape[1:3], attrs), out), FLOAT32),)


def _spatial(x: Tensor, window: Sequence[Size], attrs: Attrs) -> tuple[Size, Size]:
    """H' and W'."""
    want(attrs["padding"] in ("SAME", "VALID"), "padding is SAME or VALID")
    sizes: list[Size] = []
    for axis in (0, 1):
        size, kernel, stride = x.shape[1 + axis], window[axis], attrs["stride"][axis]
        want(isinstance(kernel, int), "the window is dynamic")
        assert isinstance(kernel, int)
        covered = (kernel - 1) * attrs.get("dilation", (1, 1))[axis] + 1
        left = size if attrs["padding"] == "SAME" else size - (covered - 1)
        want(at_least(left, 1), "the window is larger than the input")
        sizes.append(divided_up(left, stride))
    return sizes[0], sizes[1]


def _windows(x: Array, window: Sequence[int], attrs: Attrs, fill: float = 0.0) -> Array:
    """The input of each result: [N, H', W', C, h, w]."""
    dilation = attrs.get("dilation", (1, 1))
    pads = [(0, 0)] * 4
    covered = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if attrs["padding"] == "SAME":
        for axis, stride in enumerate(attrs["stride"]):
            size = x.shape[1 + axis]
            missing = max((-(-size // stride) - 1) * stride + covered[axis] - size, 0)
            pads[1 + axis] = missing // 2, missing - missing // 2
    padded = np.pad(x, pads, constant_values=fill)
    views = sliding_window_view(padded, covered, axis=(1, 2))
    rows, columns = attrs["stride"]
    return views[:, ::rows, ::columns, :, :: dilation[0], :: dilation[1]]


def _evaluate_conv(x: Sequence[Any], attrs: Attrs) -> Array:
    values, weight, bias = x
    windows = _windows(values, weight.shape[1:3], attrs)
    out: Array = np.einsum("nyxchw,ohwc->nyxo", windows, weight, optimize=True)
    out += bias
    return out


def _evaluate_depthwise(x: Sequence[Any], attrs: Attrs) -> Array:
    values, weight, bias = x
    channels = values.shape[3]
    filters = weight.reshape(*weight.shape[1:3], channels, -1)
    windows = _windows(values, weight.shape[1:3], attrs)
    out: Array = np.einsum("nyxchw,hwcm->nyxcm", windows, filters, optimize=True)
    out = out.reshape(*out.shape[:3], -1)
    out += bias
    return out


CONV_2D = Operation("conv_2d", _conv, _evaluate_conv)
DEPTHWISE_CONV_2D = Operation("depthwise_conv_2d", _depthwise_conv, _evaluate_depthwise)


def average_pool_2d(x: Tensor, window: Pair, stride: Pair, *, padding: str = "VALID") -> Tensor:
    """The mean of each window of x [N, H, W, C]; padding does not count."""
    return emit(AVERAGE_POOL_2D, x, window=window, stride=stride, padding=padding)


def max_pool_2d(x: Tensor, window: Pair, stride: Pair, *, padding: str = "VALID") -> Tensor:
    """The largest value of each window of x [N, H, W, C]."""
    return emit(MAX_POOL_2D, x, window=window, stride=stride, padding=padding)


def _pool(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    want(x.dtype is FLOAT32 and len(x.shape) == 4, "not [N, H, W, C] of float32")
    return (((x.shape[0], *_spatial(x, attrs["window"], attrs), x.shape[3]), FLOAT32),)


def _evaluate_average_pool(x: Sequence[Any], attrs: Attrs) -> Array:
    sums = _windows(x[0], attrs["window"], attrs).sum(axis=(-1, -2))
    counts = _windows(np.ones_like(x[0]), attrs["window"], attrs).sum(axis=(-1, -2))
    return np.asarray(sums / counts)


def _evaluate_max_pool(x: Sequence[Any], attrs: Attrs) -> Array:
    return np.asarray(_windows(x[0], attrs["window"], attrs, -np.inf).max(axis=(-1, -2)))


AVERAGE_POOL_2D = Operation("average_pool_2d", _pool, _evaluate_average_pool)
MAX_POOL_2D = Operation("max_pool_2d", _pool, _evaluate_max_pool)


def resize_bilinear(x: Tensor, size: Pair) -> Tensor:
    """x [N, H, W, C] at another size, between the centers of its pixels."""
    return emit(RESIZE_BILINEAR, x, ints(x, "size", size), size=size)


def resize_nearest(x: Tensor, size: Pair) -> Tensor:
    """x [N, H, W, C] at another size, of the pixel that is nearest."""
    return emit(RESIZE_NEAREST, x, ints(x, "size", size), size=size)


def _resize(inputs: Inputs, attrs: Attrs) -> Results:
    x, _ = inputs
    want(x.dtype is FLOAT32 and len(x.shape) == 4, "not [N, H, W, C] of float32")
    want(min(attrs["size"]) >= 1, "no pixels")
    return (((x.shape[0], *attrs["size"], x.shape[3]), FLOAT32),)


def _evaluate_bilinear(x: Sequence[Any], attrs: Attrs) -> Array:
    values: Array = x[0]
    for axis, size in enumerate(attrs["size"], 1):
        at = (np.arange(size) + 0.5) * (values.shape[axis] / size) - 0.5
        at = np.clip(at, 0, values.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        shape = [1] * values.ndim
        shape[axis] = size
        part = (at - low).astype(np.float32).reshape(shape)
        values = np.take(values, low, axis) * (1 - part) + np.take(values, high, axis) * part
    return values


def _evaluate_nearest(x: Sequence[Any], attrs: Attrs) -> Array:
    values: Array = x[0]
    for axis, size in enumerate(attrs["size"], 1):
        at = np.floor((np.arange(size) + 0.5) * (values.shape[axis] / size)).astype(int)
        values = np.take(values, np.minimum(at, values.shape[axis] - 1), axis)
    return values


RESIZE_BILINEAR = Operation("resize_bilinear", _resize, _evaluate_bilinear, repeats=("size",))
RESIZE_NEAREST = Operation("resize_nearest", _resize, _evaluate_nearest, repeats=("size",))
