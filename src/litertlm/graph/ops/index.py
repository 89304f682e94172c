"""Reading and writing elements at positions that are known when the model runs."""

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
    as_constant,
    axis_of,
    emit,
    want,
)
from litertlm.graph.types import Size, Tensor


def gather(x: Tensor, indices: Tensor, axis: int = 0, *, batch_dims: int = 0) -> Tensor:
    """Slices of x at `indices` (INT32) of one axis; the axes of `indices` replace that axis.

    A weight [E, out, in] gathered at experts [k] is [k, out, in]. The first `batch_dims` axes of
    both are equal, and element i of them is gathered from element i.
    """
    attrs = {"batch_dims": batch_dims} if batch_dims else {}
    return emit(GATHER, x, indices, axis=axis_of(x, axis), **attrs)


def _gather(inputs: Inputs, attrs: Attrs) -> Results:
    x, indices = inputs
    axis, batch = attrs["axis"], attrs.get("batch_dims", 0)
    want(indices.dtype is INT32, "indices are not int32")
    want(0 <= batch <= min(axis, len(indices.shape)), "more batch axes than others")
    want(x.shape[:batch] == indices.shape[:batch], "batch axes differ")
    return (((*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :]), x.dtype),)


def _evaluate_gather(x: Sequence[Any], attrs: Attrs) -> Array:
    constant, indices = as_constant(x[0]), x[1]
    axis, batch = attrs["axis"], attrs.get("batch_dims", 0)
    if axis == 0:  # of a large weight only the rows that are used
        rows = [constant.rows(int(i), int(i) + 1)[0] for i in indices.reshape(-1)]
        return np.reshape(np.stack(rows), (*indices.shape, *constant.shape[1:]))
    values = constant.read()
    if not batch:
        return np.asarray(np.take(values, indices, axis=axis))
    lead = values.shape[:batch]
    parts = [np.take(values[i], indices[i], axis=axis - batch) for i in np.ndindex(*lead)]
    return np.reshape(np.stack(parts), (*lead, *parts[0].shape))


GATHER = Operation("gather", _gather, _evaluate_gather, rows_of=0)


def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    """x at positions: indices [..., n] of the first n axes, INT32, to [..., *x.shape[n:]]."""
    return emit(GATHER_ND, x, indices)


def _gather_nd(inputs: Inputs, attrs: Attrs) -> Results:
    x, indices = inputs
    depth = indices.shape[-1]
    want(indices.dtype is INT32, "indices are not int32")
    want(isinstance(depth, int) and depth <= len(x.shape), "more positions than axes")
    assert isinstance(depth, int)
    return (((*indices.shape[:-1], *x.shape[depth:]), x.dtype),)


GATHER_ND = Operation("gather_nd", _gather_nd, lambda x, a: x[0][tuple(np.moveaxis(x[1], -1, 0))])


def dynamic_update_slice(x: Tensor, update: Tensor, starts: Tensor) -> Tensor:
    """x with `update` written at `starts` [rank], INT32; the same shape as x.

    At most one axis of `update` may differ from x (the axis of positions), and be shorter there.
    """
    return emit(DYNAMIC_UPDATE_SLICE, x, update, starts)


def _dynamic_update_slice(inputs: Inputs, attrs: Attrs) -> Results:
    x, update, starts = inputs
    rank = len(x.shape)
    want(x.dtype is update.dtype, "types differ")
    want(starts.dtype is INT32 and starts.shape == (rank,), "starts are not [rank] of int32")
    want(len(update.shape) == rank, "ranks differ")
    differing = [pair for pair in zip(x.shape, update.shape, strict=True) if pair[0] != pair[1]]
    want(len(differing) <= 1, "more than one axis differs")
    want(all(_may_fit(*pair) for pair in differing), "the update is larger")
    return ((x.shape, x.dtype),)


def _may_fit(size: Size, part: Size) -> bool:
    """Whether `part` elements can fit into `size`, as far as it is known before the model runs."""
    if isinstance(size, int) or isinstance(part, int):
        if isinstance(part, int):
            return not isinstance(size, int) or part <= size
        assert isinstance(size, int)
        return part.smallest <= size
    if size.name != part.name:
        return True
    room = size - part
    if isinstance(room, int):
        return room >= 0
    return room.factor > 0 or room.factor + room.offset >= 0


def _evaluate_update(x: Sequence[Any], attrs: Attrs) -> Array:
    values, update, starts = x
    out: Array = values.copy()
    # Like the runtime: starts are clamped so that the update fits.
    begins = [
        min(max(int(start), 0), size - part)
        for start, size, part in zip(starts, values.shape, update.shape, strict=True)
    ]
    where = tuple(slice(b, b + n) for b, n in zip(begins, update.shape, strict=True))
    out[where] = update
    return out


DYNAMIC_UPDATE_SLICE = Operation("dynamic_update_slice", _dynamic_update_slice, _evaluate_update)
