"""Reading the tensors that make up one quantized weight.

Letters in shapes: out, in: of the weight [out, in]; G: groups of columns that share a scale.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import ends_early, opened, read_range
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.errors import DamagedCheckpoint

_TYPES: dict[str, Any] = {
    "U8": "u1", "I8": "i1", "I32": "<i4", "U32": "<u4", "I64": "<i8", "F8_E4M3": "u1",
    "F8_E5M2": "u1", "F8_E8M0": "u1", "BF16": "<u2", "F16": "<f2", "F32": "<f4",
}  # fmt: skip

# What a weight without scales cannot be stored as.
QUANTIZED_TYPES = frozenset({"U8", "I8", "I32", "U32", "F8_E4M3", "F8_E5M2", "F4"})

Rows = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True)
class DequantizedTensor:
    """A weight with its scales; see `StoredTensor`.

    Attributes:
        dtype: of the quantized values as stored.
        nbytes: of all parts in the files.
        read: `read(start, stop)` returns rows as float32, one or more, in a fresh array.
        place: of the values; the scales may be anywhere.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    read: Rows
    place: tuple[str, int] = ("", 0)
    in_order: bool = False

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)`; see `StoredTensor.rows`."""
        if not 0 <= start <= stop <= self.shape[0]:
            raise ValueError(f"rows {start}:{stop} of {self.name}, shape {self.shape}")
        if start == stop:
            return np.empty((0, *self.shape[1:]), np.float32)
        return self.read(start, stop)


def dequantized_tensor(
    name: str, shape: tuple[int, ...], parts: Iterable[SafetensorsTensor], read: Rows
) -> DequantizedTensor:
    """The weight `name`; the first of `parts` has its values."""
    parts = list(parts)
    place = parts[0].file.path.name, parts[0].offset
    nbytes = sum(part.nbytes for part in parts)
    return DequantizedTensor(name, parts[0].dtype, shape, nbytes, read, place)


def values(part: SafetensorsTensor, start: int = 0, stop: int | None = None) -> NDArray[Any]:
    """Values `[start, stop)` as stored, counted as if the tensor were flat; bits for BF16, FP8."""
    stop = math.prod(part.shape) if stop is None else stop
    block = np.empty(stop - start, _TYPES[part.dtype])
    read_range(part.file, part.offset + start * block.itemsize, block, tensor=part.name)
    return block


def rows_of(part: SafetensorsTensor, start: int, stop: int) -> NDArray[Any]:
    """Rows `[start, stop)` as stored, `[stop - start, *shape[1:]]`."""
    width = math.prod(part.shape[1:])
    return values(part, start * width, stop * width).reshape(stop - start, *part.shape[1:])


def floats(part: SafetensorsTensor, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """As `values`, decoded to float32; U8 and F8_E8M0 are powers of two."""
    stored = values(part, start, stop)
    if part.dtype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if part.dtype in ("U8", "F8_E8M0"):
        return powers_of_two(stored)
    if part.dtype in ("F8_E4M3", "F8_E5M2"):
        decoded: NDArray[np.float32] = FLOAT8[part.dtype][stored]
        return decoded
    return stored.astype(np.float32, copy=False)


def check_part(
    part: SafetensorsTensor, types: tuple[str, ...], shape: tuple[int, ...] | None = None
) -> None:
    """Check the type and the shape of a part of a weight.

    Raises:
        DamagedCheckpoint: names both.
    """
    if part.dtype not in types or (shape is not None and part.shape != shape):
        wanted = " or ".join(types) + ("" if shape is None else f" {list(shape)}")
        raise DamagedCheckpoint(
            f"Tensor {part.name} does not fit the other parts of its weight.",
            why=f"It is {part.dtype} {list(part.shape)}, but should be {wanted}.",
        )


def matrix_shape(part: SafetensorsTensor) -> tuple[int, int]:
    """The shape of a matrix.

    Raises:
        DamagedCheckpoint: the tensor is not a matrix, or has no values.
    """
    if len(part.shape) != 2 or not all(part.shape):
        raise DamagedCheckpoint(
            f"Tensor {part.name} should be a matrix.", why=f"Its shape is {list(part.shape)}."
        )
    return part.shape[0], part.shape[1]


def missing_part(name: str, because: str) -> DamagedCheckpoint:
    """The error for a part of a weight that is not there."""
    return DamagedCheckpoint(
        f"The checkpoint is incomplete: tensor {name} is missing.", why=f"It has {because}."
    )


def powers_of_two(exponents: NDArray[np.uint8]) -> NDArray[np.float32]:
    """2 ** (e - 127), the type E8M0 of the OCP microscaling formats; 255 is NaN."""
    powers: NDArray[np.float32] = _E8M0[exponents]
    return powers


def nibbles(packed: NDArray[Any], *, high_first: bool = False) -> NDArray[np.uint8]:
    """Four-bit values 0 to 15 along the last axis, the low four bits of each byte first."""
    data = np.ascontiguousarray(packed).view(np.uint8)
    pairs = np.empty((*data.shape, 2), np.uint8)
    pairs[..., 1 if high_first else 0] = data & 15
    pairs[..., 0 if high_first else 1] = data >> 4
    return pairs.reshape(*data.shape[:-1], -1)


def _float8(exponent_bits: int, mantissa_bits: int) -> NDArray[np.float32]:
    """The finite values of a float8 in the order of their bits (OCP 8-bit floating point)."""
    bits = np.arange(256)
    bias = (1 << (exponent_bits - 1)) - 1
    exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (bits & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    normal = np.ldexp(1 + mantissa, exponent - bias)
    subnormal = np.ldexp(mantissa, 1 - bias)
    magnitude = np.where(exponent == 0, subnormal, normal)
    return np.where(bits >> 7, -magnitude, magnitude).astype(np.float32)


def _tables() -> dict[str, NDArray[np.float32]]:
    e4m3, e5m2 = _float8(4, 3), _float8(5, 2)
    e4m3[[0x7F, 0xFF]] = np.nan  # the "fn" form has no infinity
    e5m2[[0x7C, 0xFC]] = np.inf, -np.inf
    e5m2[[*range(0x7D, 0x80), *range(0xFD, 0x100)]] = np.nan
    return {"F8_E4M3": e4m3, "F8_E5M2": e5m2}


FLOAT8 = _tables()
# Four-bit floats, E2M1: a sign, two bits of exponent, one of mantissa.
FLOAT4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
FLOAT4 = np.concatenate([FLOAT4, -FLOAT4])
_E8M0 = np.append(np.ldexp(np.float32(1), np.arange(255) - 127), np.float32(np.nan))

_SLAB_BYTES = 4 << 20
_SLABS = 4


@dataclass
class ColumnReader:
    """Columns of tensors that are stored transposed, without reading the tensor for each block.

    A block of rows of the weight is a block of columns here, of which each row in the file has a
    few bytes. So a slab of columns is read at once, and the last slabs are kept, for all tensors
    together: at most `_SLABS` of `_SLAB_BYTES`.
    """

    _kept: OrderedDict[tuple[str, int], NDArray[Any]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def columns(self, part: SafetensorsTensor, start: int, stop: int) -> NDArray[Any]:
        """Columns `[start, stop)` of a matrix as stored, `[rows, stop - start]`."""
        rows, width = part.shape
        item = np.dtype(_TYPES[part.dtype]).itemsize
        step = min(width, max(64, _SLAB_BYTES // max(1, rows * item)))
        pieces = []
        for index in range(start // step, -(-stop // step)):
            slab = self._slab(part, index, step)
            first = index * step
            pieces.append(slab[:, max(start - first, 0) : stop - first])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def _slab(self, part: SafetensorsTensor, index: int, step: int) -> NDArray[Any]:
        key = (part.name, index)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            slab = _read_columns(part, index * step, min((index + 1) * step, part.shape[1]))
            self._kept[key] = slab
            while len(self._kept) > _SLABS:
                self._kept.popitem(last=False)
            return slab


def _read_columns(part: SafetensorsTensor, start: int, stop: int) -> NDArray[Any]:
    rows, width = part.shape
    block = np.empty((rows, stop - start), _TYPES[part.dtype])
    if stop - start == width:
        read_range(part.file, part.offset, block, tensor=part.name)
        return block
    view = block.view(np.uint8).reshape(rows, -1)
    with opened(part.file, part.offset, part.offset + part.nbytes) as read_at:
        for row in range(rows):
            offset = part.offset + (row * width + start) * block.itemsize
            if read_at(view[row].data, offset) != view.shape[1]:
                raise ends_early(part.file, part.name)
    return block
