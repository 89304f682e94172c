"""Stored tensors in another shape, read row by row as before."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.types import StoredTensor


@runtime_checkable
class _Mergeable(Protocol):
    """A stored tensor whose rows are contiguous in its file, however many axes it has."""

    def merged(self) -> StoredTensor: ...


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
