"""Stored tensors in another shape, read row by row as before."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import FileTensor, read_range
from litertlm.checkpoint.types import StoredTensor

_BLOCK = 1 << 20  # values


@runtime_checkable
class _Mergeable(Protocol):
    """A stored tensor whose rows are contiguous in its file, however many axes it has."""

    def merged(self) -> StoredTensor: ...


@runtime_checkable
class Located(Protocol):
    """A tensor that is made from one or several tensors in files.

    Attributes:
        place: see `place_of`.
        in_order: see `is_in_order`.
    """

    @property
    def place(self) -> tuple[str, int]: ...
    @property
    def in_order(self) -> bool: ...


@dataclass(frozen=True)
class _Merged:
    """A tensor with its leading axes merged; every block reads the entries that it touches."""

    stored: StoredTensor
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.stored.name

    @property
    def dtype(self) -> str:
        return self.stored.dtype

    @property
    def nbytes(self) -> int:
        return self.stored.nbytes

    @property
    def place(self) -> tuple[str, int]:
        return place_of(self.stored)

    @property
    def in_order(self) -> bool:
        return is_in_order(self.stored)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` as float32; see `StoredTensor.rows`."""
        inner = prod(self.stored.shape[1:-1])
        first, last = start // inner, -(-stop // inner)
        block = self.stored.rows(first, last).reshape(-1, self.shape[-1])
        part: NDArray[np.float32] = block[start - first * inner : stop - first * inner].copy()
        return part


def as_matrix(stored: StoredTensor) -> StoredTensor:
    """`stored` with all axes but the last merged: [experts, out, in] as [experts * out, in].

    Vectors and matrices are returned as they are.
    """
    if len(stored.shape) <= 2:
        return stored
    if isinstance(stored, _Mergeable):
        return stored.merged()
    return _Merged(stored, (prod(stored.shape[:-1]), stored.shape[-1]))


def place_of(stored: StoredTensor) -> tuple[str, int]:
    """The name of the file with the values of a tensor, and the offset of the first one.

    ("", 0) for a tensor that is in no file.
    """
    match stored:
        case FileTensor():
            return stored.file.path.name, stored.offset
        case Located():
            return stored.place
    return "", 0


def is_in_order(stored: StoredTensor) -> bool:
    """Whether blocks of rows read the file in its order, up to a few rows."""
    return isinstance(stored, FileTensor) or (isinstance(stored, Located) and stored.in_order)


def equal_values(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two tensors have the same shape and, as float32, the same values.

    Reads both by blocks of about a million values, up to the first block that differs.
    """
    if tuple(one.shape) != tuple(other.shape) or not one.shape:
        return False
    if (
        isinstance(one, FileTensor)
        and isinstance(other, FileTensor)
        and one.file is other.file
        and one.dtype == other.dtype
        and one.file.will_compare(one.range, other.range)
    ):
        return True
    step = max(1, _BLOCK // max(1, prod(one.shape[1:])))
    for start in range(0, one.shape[0], step):
        stop = min(start + step, one.shape[0])
        if not _equal_bytes(one, other, start, stop) and not np.array_equal(
            one.rows(start, stop), other.rows(start, stop)
        ):
            return False
    return True


def _equal_bytes(one: StoredTensor, other: StoredTensor, start: int, stop: int) -> bool:
    """Whether rows of two tensors in files have the same bytes, which is faster to find out."""
    if not isinstance(one, FileTensor) or not isinstance(other, FileTensor):
        return False
    if one.dtype != other.dtype:
        return False
    return bool(np.array_equal(_raw_rows(one, start, stop), _raw_rows(other, start, stop)))


def _raw_rows(stored: FileTensor, start: int, stop: int) -> NDArray[np.uint64 | np.uint8]:
    row = stored.nbytes // stored.shape[0]
    data = np.empty((stop - start) * row, np.uint8)
    read_range(stored.file, stored.offset + start * row, data, tensor=stored.name)
    return data if len(data) % 8 else data.view(np.uint64)
