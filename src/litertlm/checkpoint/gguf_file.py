"""The GGUF container: key-values, tensor infos and data, as llama.cpp writes them.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the `gguf`
package builds a numpy object per array element (5.7 s for a vocabulary of 49,152 tokens), so
the header is read here; the quantized formats are decoded by `gguf.quants`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import DOWNLOAD_AGAIN, LFS_POINTER, read_range, regular_file_size
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

MAGIC = b"GGUF"

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_KEY_LIMIT = 65_535
_NAME_LIMIT = 256
_STRING_LIMIT = 16_000_000
_ARRAY_LIMIT = 8_000_000
_MAX_DIMS = 4


@dataclass(frozen=True)
class GgufTensor:
    """A tensor in a GGUF file, under its GGUF name; see `StoredTensor`.

    Attributes:
        file: the file that holds it.
        offset: of its first byte, from the start of the file.
        row_bytes: stored bytes of one row (of the first axis).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    file: Path
    offset: int
    row_bytes: int

    def merged(self) -> GgufTensor:
        """The same tensor with all axes but the last merged into rows."""
        rows = math.prod(self.shape[:-1])
        return replace(self, shape=(rows, self.shape[-1]), row_bytes=self.nbytes // rows)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` dequantized to float32, `[stop - start, *shape[1:]]`.

        Raises:
            UnsupportedModel: the package `gguf` cannot decode the tensor's type.
            DamagedCheckpoint: the file changed since its header was read.
        """
        import gguf.constants
        import gguf.quants

        if not 0 <= start <= stop <= self.shape[0]:
            raise ValueError(f"rows {start}:{stop} of {self.name}, shape {self.shape}")
        stored = np.empty(((stop - start), self.row_bytes), np.uint8)
        read_range(self.file, self.offset + start * self.row_bytes, stored, tensor=self.name)
        shape = (stop - start, *self.shape[1:])
        if self.dtype == "F32":
            return stored.view("<f4").reshape(shape).astype(np.float32, copy=False)
        if self.dtype == "F16":
            return stored.view("<f2").reshape(shape).astype(np.float32)
        if self.dtype == "BF16":
            return (stored.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        if not stored.size:
            return np.empty(shape, np.float32)
        try:
            values = gguf.quants.dequantize(stored, gguf.constants.GGMLQuantizationType[self.dtype])
        except NotImplementedError as error:
            raise UnsupportedModel(
                f"Tensor {self.name} is stored as {self.dtype}, which cannot be decoded.",
                hint="Use a Q8_0, Q4_K_M or F16 file of the same model.",
            ) from error
        return np.asarray(values, np.float32).reshape(shape)


@dataclass(frozen=True)
class GgufFile:
    """The header of a GGUF file: its key-values and its tensors, by their GGUF names."""

    path: Path
    values: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_gguf(path: Path) -> GgufFile:
    """Read and check the header of a GGUF file; reads no weights.

    Raises:
        DamagedCheckpoint: the header is cut off, or contradicts the file or itself.
        UnsupportedModel: a version, byte order or tensor type that is not read.
        ModelNotFound: no such file.
    """
    size = regular_file_size(path)
    with path.open("rb") as file:
        reader = _Reader(path, file, size)
        magic = reader.take(4) if size >= 24 else b""
        if magic == LFS_POINTER[:4]:
            reader.fail("It is a Git LFS pointer: the file itself was not downloaded.")
        if magic != MAGIC:
            reader.fail("It does not start as a GGUF file does.")
        version = reader.scalar("I")
        if version not in (2, 3):
            raise UnsupportedModel(
                f"{path} is GGUF version {version}.",
                why="Versions 2 and 3 in little-endian byte order are read.",
                hint="Convert the model with a current llama.cpp.",
            )
        tensor_count, value_count = reader.scalar("Q"), reader.scalar("Q")
        values: dict[str, Any] = {}
        for _ in range(reader.bounded(value_count, 13, "keys")):
            key = reader.string(_KEY_LIMIT)
            if key in values:
                reader.fail(f"Key {key} occurs twice.")
            values[key] = reader.value(reader.scalar("I"), key)
        infos = [_read_info(reader) for _ in range(reader.bounded(tensor_count, 24, "tensors"))]
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 65536 or alignment % 8:
            reader.fail(f"general.alignment is {alignment!r}.")
        tensors = _place(reader, infos, -file.tell() % alignment + file.tell(), alignment)
    return GgufFile(path, values, tensors)


@dataclass(frozen=True)
class _Info:
    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int


def _read_info(reader: _Reader) -> _Info:
    name = reader.string(_NAME_LIMIT)
    dims = reader.scalar("I")
    if not 1 <= dims <= _MAX_DIMS:
        reader.fail(f"Tensor {name} has {dims} dimensions.")
    shape = tuple(reversed([reader.scalar("Q") for _ in range(dims)]))
    if not all(0 < n < 1 << 40 for n in shape):
        reader.fail(f"Tensor {name} has the impossible shape {list(shape)}.")
    return _Info(name, shape, reader.scalar("I"), reader.scalar("Q"))


def _place(
    reader: _Reader, infos: list[_Info], data_start: int, alignment: int
) -> dict[str, GgufTensor]:
    """Locate each tensor; like llama.cpp, demand that they follow one another, padded."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    sizes = {
        int(number): (number.name, *GGML_QUANT_SIZES[number]) for number in GGMLQuantizationType
    }
    tensors: dict[str, GgufTensor] = {}
    expected = 0
    for info in infos:
        if info.type_number not in sizes:
            raise UnsupportedModel(
                f"Tensor {info.name} of {reader.path} has the unknown type {info.type_number}.",
                hint="Use a Q8_0, Q4_K_M or F16 file of the same model.",
            )
        dtype, block, block_bytes = sizes[info.type_number]
        if info.name in tensors:
            reader.fail(f"Tensor {info.name} occurs twice.")
        if info.shape[-1] % block:
            reader.fail(f"Tensor {info.name} has {info.shape[-1]} columns: no {dtype} blocks.")
        nbytes = math.prod(info.shape) // block * block_bytes
        if info.offset != expected:
            reader.fail(f"Tensor {info.name} is at {info.offset:,} and should be at {expected:,}.")
        expected += nbytes + -nbytes % alignment
        if data_start + info.offset + nbytes > reader.size:
            reader.fail(f"Tensor {info.name} ends beyond the end of the file: it is cut off.")
        # A vector is one stored run of elements: each of them is a row.
        row_bytes = nbytes // info.shape[0]
        if row_bytes * info.shape[0] != nbytes:
            reader.fail(f"Tensor {info.name} is a vector stored in {dtype} blocks.")
        tensors[info.name] = GgufTensor(
            info.name, dtype, info.shape, nbytes, reader.path, data_start + info.offset, row_bytes
        )
    return tensors


class _Reader:
    """Reads header fields one after the other; never more than the file can hold."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.size = size
        self._file = file
        self._left = size

    def fail(self, why: str) -> NoReturn:
        raise DamagedCheckpoint(f"{self.path} is damaged.", why=why, hint=DOWNLOAD_AGAIN)

    def take(self, count: int) -> bytes:
        self._left -= count
        data = self._file.read(count) if self._left >= 0 else b""
        if len(data) != count:
            self.fail("It ends inside of its header: it is cut off.")
        return data

    def scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def bounded(self, count: int, least_bytes: int, what: str) -> int:
        if count * least_bytes > self._left:
            self.fail(f"It announces {count:,} {what}, more than fit into the file.")
        return count

    def string(self, limit: int) -> str:
        length = int.from_bytes(self.take(8), "little")
        if length > limit:
            self.fail(f"It has a text of {length:,} bytes where at most {limit:,} are expected.")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            self.fail("A text in its header is not UTF-8.")

    def value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self.string(_STRING_LIMIT)
        if kind == _ARRAY:
            return self._array(key)
        if kind not in _SCALARS:
            self.fail(f"Key {key} has the unknown type {kind}.")
        number = self.scalar(_SCALARS[kind])
        return bool(number) if kind == _BOOL else number

    def _array(self, key: str) -> list[Any]:
        kind, count = self.scalar("I"), self.scalar("Q")
        if count > _ARRAY_LIMIT:
            self.fail(f"Key {key} has {count:,} elements; at most {_ARRAY_LIMIT:,} are read.")
        if kind == _STRING:
            return [self.string(_STRING_LIMIT) for _ in range(self.bounded(count, 8, key))]
        if kind not in _SCALARS:
            self.fail(f"Key {key} is an array of the unknown type {kind}.")
        dtype = np.dtype("<" + _SCALARS[kind]) if kind != _BOOL else np.dtype(bool)
        data = self.take(self.bounded(count, dtype.itemsize, key) * dtype.itemsize)
        result: list[Any] = np.frombuffer(data, dtype).tolist()
        return result
