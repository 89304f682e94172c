"""Operations that rearrange elements: reshape, transpose, concat, slice, pad, split, tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litertlm.graph.ops.operation import (
    INT32,
    Array,
    Attrs,
    Inputs,
    Operation,
    Results,
    at_least,
    axis_of,
    broadcast_shapes,
    count,
    emit,
    emit_all,
    ints,
    replaced,
    scalar,
    shared,
    want,
)
from litertlm.graph.types import Dim, GraphError, Shape, Size, Tensor


def reshape(x: Tensor, shape: Shape) -> Tensor:
    """The same elements in another shape; at most one axis may be a `Dim`."""
    target = ints(x, "shape", [-1 if isinstance(d, Dim) else d for d in shape])
    return emit(RESHAPE, x, target, shape=shape)


def _reshape(inputs: Inputs, attrs: Attrs) -> Results:
    x, target = inputs
    shape: Shape = attrs["shape"]
    want(count(x.shape) == count(shape), "the number of elements differs")
    want(sum(isinstance(d, Dim) for d in shape) <= 1, "more than one dynamic axis")
    want(target.shape == (len(shape),))
    return ((shape, x.dtype),)


RESHAPE = Operation("reshape", _reshape, lambda x, a: x[0].reshape(x[1]), repeats=("shape",))


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    """Axes reordered: output axis i is input axis perm[i]."""
    return emit(TRANSPOSE, x, ints(x, "perm", perm), perm=tuple(perm))


def _transpose(inputs: Inputs, attrs: Attrs) -> Results:
    x, _ = inputs
    perm = attrs["perm"]
    want(sorted(perm) == list(range(len(x.shape))), "not a permutation of the axes")
    return ((tuple([x.shape[p] for p in perm]), x.dtype),)


TRANSPOSE = Operation(
    "transpose", _transpose, lambda x, a: x[0].transpose(a["perm"]), repeats=("perm",)
)


def concat(tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Joined along `axis`; all other axes equal."""
    return emit(CONCAT, *tensors, axis=axis_of(tensors[0], axis))


def _concat(inputs: Inputs, attrs: Attrs) -> Results:
    first, axis = inputs[0], attrs["axis"]
    total: Size = first.shape[axis]
    for t in inputs[1:]:
        same = (
            t.dtype is first.dtype
            and t.shape[:axis] == first.shape[:axis]
            and t.shape[axis + 1 :] == first.shape[axis + 1 :]
        )
        want(same, "other axes or types differ")
        total = total + t.shape[axis]
    return ((replaced(first.shape, axis, total), first.dtype),)


CONCAT = Operation("concat", _concat, lambda x, a: np.concatenate(x, axis=a["axis"]))


def slice_axis(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """Elements [start, start + size) of one axis and all of the others.

    A dynamic axis must be long enough whatever its symbol is. This is no SLICE: with the size -1 of
    an axis that is complete, XNNPACK does not take it, and TFLite sizes its output at each call.
    """
    return strided_slice(x, axis, start, start + size)


def strided_slice(
    x: Tensor, axis: int, begin: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """x[begin:end:step] along one axis, as Python slices: negative positions count from the end.

    A dynamic axis must be long enough whatever its symbol is.
    """
    axis, rank = axis_of(x, axis), len(x.shape)

    def along(value: int, others: int) -> list[int]:
        return [value if i == axis else others for i in range(rank)]

    tables = (
        ints(x, "begin", along(begin or 0, 0)),
        ints(x, "end", along(end or 0, 0)),
        ints(x, "strides", along(step, 1)),
    )
    return emit(STRIDED_SLICE, x, *tables, axis=axis, begin=begin, end=end, step=step)


def last(x: Tensor, axis: int, size: int) -> Tensor:
    """The last `size` elements of one axis."""
    return strided_slice(x, axis, -size)


def _strided_slice(inputs: Inputs, attrs: Attrs) -> Results:
    x = inputs[0]
    axis, begin, end, step = attrs["axis"], attrs["begin"], attrs["end"], attrs["step"]
    length = x.shape[axis]
    first: Size = begin or 0
    stop: Size = length if end is None else end
    first = length + first if isinstance(first, int) and first < 0 else first
    stop = length + stop if isinstance(stop, int) and stop < 0 else stop
    want(step >= 1, "a step is 1 or more")
    want(at_least(first, 0) and at_least(length - stop, 0), "outside of the axis")
    want(at_least(stop - first, 1), "it may be empty")
    return ((replaced(x.shape, axis, divided_up(stop - first, step)), x.dtype),)


def divided_up(size: Size, step: int) -> Size:
    """`size` / `step`, rounded up."""
    if isinstance(size, int):
        return -(-size // step)
    want(size.factor % step == 0, f"{size} is not a multiple of {step} at run time")
    return Dim(size.name, size.factor // step, -(-size.offset // step))


def _evaluate_strided_slice(x: Sequence[Any], attrs: Attrs) -> Array:
    where = slice(attrs["begin"], attrs["end"], attrs["step"])
    found: Array = x[0][(slice(None),) * attrs["axis"] + (where,)]
    return found


STRIDED_SLICE = Operation(
    "strided_slice",
    _strided_slice,
    _evaluate_strided_slice,
    repeats=("axis", "begin", "end", "step"),
)


def pad(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x with `value` before and after each axis: [(before, after), ...] for every axis."""
    operand = shared(x, "pads", np.asarray(pads, np.int32).reshape(-1, 2))
    attrs = {"pads": tuple(map(tuple, pads))}
    if value == 0:
        return emit(PAD, x, operand, **attrs)
    return emit(PADV2, x, operand, scalar(x, value), **attrs)


def _pad(inputs: Inputs, attrs: Attrs) -> Results:
    x, pads = inputs[0], attrs["pads"]
    want(len(pads) == len(x.shape), "not a pair for each axis")
    want(all(a >= 0 and b >= 0 for a, b in pads), "negative")
    want(all(t.dtype is x.dtype and t.shape == () for t in inputs[2:]), "value of another type")
    shape = tuple([size + (a + b) for size, (a, b) in zip(x.shape, pads, strict=True)])
    return ((shape, x.dtype),)


PAD = Operation("pad", _pad, lambda x, a: np.pad(x[0], a["pads"]), repeats=("pads",))
PADV2 = Operation(
    "padv2",
    _pad,
    lambda x, a: np.pad(x[0], a["pads"], constant_values=x[2]),
    repeats=("pads",),
)


def split(x: Tensor, axis: int, parts: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split a static axis into `parts` equal parts, or into parts of the given sizes."""
    axis = axis_of(x, axis)
    where = shared(x, f"axis{axis}", np.asarray(axis, np.int32))
    if isinstance(parts, int):
        return emit_all(SPLIT, where, x, axis=axis, parts=parts)
    return emit_all(SPLIT_V, x, ints(x, "sizes", parts), where, axis=axis, sizes=tuple(parts))


def _split(inputs: Inputs, attrs: Attrs) -> Results:
    _, x = inputs
    axis, parts = attrs["axis"], attrs["parts"]
    size = x.shape[axis]
    want(isinstance(size, int) and parts > 0 and size % parts == 0, "not equal parts")
    assert isinstance(size, int)
    part = replaced(x.shape, axis, size // parts)
    return tuple([(part, x.dtype) for _ in range(parts)])


def _split_v(inputs: Inputs, attrs: Attrs) -> Results:
    x = inputs[0]
    axis, sizes = attrs["axis"], attrs["sizes"]
    want(x.shape[axis] == sum(sizes) and min(sizes) > 0, "sizes do not add up to the axis")
    return tuple([(replaced(x.shape, axis, size), x.dtype) for size in sizes])


SPLIT = Operation(
    "split",
    _split,
    lambda x, a: tuple(np.split(x[1], a["parts"], axis=a["axis"])),
    repeats=("axis",),
)
SPLIT_V = Operation(
    "split_v",
    _split_v,
    lambda x, a: tuple(np.split(x[0], np.cumsum(a["sizes"])[:-1], axis=a["axis"])),
    repeats=("axis", "sizes"),
)


def pack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    rank = len(tensors[0].shape) + 1
    return emit(PACK, *tensors, axis=axis % rank)


def _pack(inputs: Inputs, attrs: Attrs) -> Results:
    first, axis = inputs[0], attrs["axis"]
    same = all(t.shape == first.shape and t.dtype is first.dtype for t in inputs)
    want(same, "shapes or types differ")
    return (((*first.shape[:axis], len(inputs), *first.shape[axis:]), first.dtype),)


PACK = Operation("pack", _pack, lambda x, a: np.stack(x, axis=a["axis"]))


def unpack(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along a static axis, each without that axis."""
    return emit_all(UNPACK, x, axis=axis_of(x, axis))


def _unpack(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    axis = attrs["axis"]
    size = x.shape[axis]
    want(isinstance(size, int), "the axis is dynamic")
    assert isinstance(size, int)
    return (((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype),) * size


UNPACK = Operation("unpack", _unpack, lambda x, a: tuple(np.moveaxis(x[0], a["axis"], 0)))


def tile(x: Tensor, repeats: Sequence[int]) -> Tensor:
    """x repeated along each axis, one number for every axis."""
    return emit(TILE, x, ints(x, "repeats", repeats), repeats=tuple(repeats))


def _tile(inputs: Inputs, attrs: Attrs) -> Results:
    x, repeats = inputs[0], attrs["repeats"]
    want(len(repeats) == len(x.shape) and min(repeats) >= 1, "not a number for each axis")
    shape = tuple([size * n for size, n in zip(x.shape, repeats, strict=True)])
    return ((shape, x.dtype),)


TILE = Operation("tile", _tile, lambda x, a: np.tile(x[0], a["repeats"]), repeats=("repeats",))


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated to a static shape, as numpy broadcasts."""
    if not all(isinstance(size, int) for size in shape):
        raise GraphError(f"{x.graph.name}: broadcast_to takes static shapes, not {tuple(shape)}")
    return emit(BROADCAST_TO, x, ints(x, "shape", shape), shape=tuple(shape))


def _broadcast_to(inputs: Inputs, attrs: Attrs) -> Results:
    x, target = inputs
    shape = attrs["shape"]
    want(target.dtype is INT32 and broadcast_shapes(x.shape, shape) == shape, "another shape")
    return ((shape, x.dtype),)


BROADCAST_TO = Operation(
    "broadcast_to",
    _broadcast_to,
    lambda x, a: np.broadcast_to(x[0], a["shape"]).copy(),
    repeats=("shape",),
)
