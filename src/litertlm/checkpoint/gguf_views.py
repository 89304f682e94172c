"""Tensors of a GGUF file in the layout that they have in Hugging Face's checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.gguf_file import GgufTensor


@dataclass(frozen=True)
class _Translated:
    """A tensor that the converter changed; see `StoredTensor`.

    Attributes:
        stored: the tensor in the file.
    """

    stored: GgufTensor
    name: str

    @property
    def dtype(self) -> str:
        return self.stored.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def nbytes(self) -> int:
        return self.stored.nbytes

    @property
    def place(self) -> tuple[str, int]:
        return self.stored.file.path.name, self.stored.offset

    @property
    def in_order(self) -> bool:
        return True


@dataclass(frozen=True)
class RopeRows(_Translated):
    """Query or key rows that llama.cpp interleaved, in Hugging Face's order.

    Its row `h, 2 j + half` is Hugging Face's row `h, half * head_dim / 2 + j`.
    """

    head_dim: int

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` as float32; see `GgufTensor.rows`."""
        head, within = np.divmod(np.arange(start, stop), self.head_dim)
        half, j = np.divmod(within, self.head_dim // 2)
        source = head * self.head_dim + 2 * j + half
        if not source.size:
            return self.stored.rows(start, stop)
        first = int(source.min())
        rows: NDArray[np.float32] = self.stored.rows(first, int(source.max()) + 1)[source - first]
        return rows


@dataclass(frozen=True)
class ShiftedNorm(_Translated):
    """A norm weight stored as 1 + w, as w."""

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Elements `[start, stop)` as float32."""
        rows = self.stored.rows(start, stop)
        rows -= 1
        return rows


@dataclass(frozen=True)
class ConvolutionTaps(_Translated):
    """The taps of a depthwise convolution, stored as [channels, taps]: [channels, 1, taps]."""

    @property
    def shape(self) -> tuple[int, ...]:
        channels, taps = self.stored.shape
        return channels, 1, taps

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Channels `[start, stop)` as float32."""
        return self.stored.rows(start, stop)[:, None]


@dataclass(frozen=True)
class RowRange(_Translated):
    """Some rows of a tensor that holds several matrices or biases.

    Attributes:
        start: the first row.
        count: how many rows it has.
    """

    start: int
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.stored.shape[1:])

    @property
    def nbytes(self) -> int:
        return self.count * self.stored.row_bytes

    @property
    def place(self) -> tuple[str, int]:
        return self.stored.file.path.name, self.stored.offset + self.start * self.stored.row_bytes

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` as float32; see `GgufTensor.rows`."""
        return self.stored.rows(self.start + start, self.start + stop)


@dataclass(frozen=True)
class OneValue:
    """A tensor of one value that the converter wrote as a key; see `StoredTensor`."""

    name: str
    shape: tuple[int, ...]
    value: float

    @property
    def dtype(self) -> str:
        return "F32"

    @property
    def nbytes(self) -> int:
        return 4

    @property
    def place(self) -> tuple[str, int]:
        return "", 0

    @property
    def in_order(self) -> bool:
        return True

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """The value, as the only row."""
        return np.full(1, self.value, np.float32)[start:stop]
