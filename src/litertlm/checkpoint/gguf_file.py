"""The tensors of a GGUF file, as llama.cpp writes them.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; gguf_header.py parses the
header. The quantized formats are decoded by `gguf.quants`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import (
    DOWNLOAD_AGAIN,
    FileTensor,
    WeightFile,
    WeightStream,
    local_file,
    opened,
    read_range,
)
from litertlm.checkpoint.gguf_header import GgufHeader, read_header
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

_HEADER_BUFFER = 256 << 10


@dataclass(frozen=True)
class GgufTensor(FileTensor):
    """A tensor in a GGUF file, under its GGUF name; see `StoredTensor`.

    Attributes:
        row_bytes: stored bytes of one row (of the first axis).
    """

    row_bytes: int

    def merged(self) -> GgufTensor:
        """The same tensor with all axes but the last merged into rows."""
        rows = math.prod(self.shape[:-1])
        return replace(self, shape=(rows, self.shape[-1]), row_bytes=self.nbytes // rows)

    def entries(self) -> list[GgufTensor]:
        """The tensors along the first axis: of [n, out, in] n tensors [out, in]."""
        count, *shape = self.shape
        size = self.nbytes // count
        return [
            replace(
                self,
                shape=tuple(shape),
                offset=self.offset + i * size,
                nbytes=size,
                row_bytes=size // shape[0],
            )
            for i in range(count)
        ]

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` dequantized to float32, `[stop - start, *shape[1:]]`.

        Raises:
            UnsupportedModel: the package `gguf` cannot decode the tensor's type.
            DamagedCheckpoint: the file changed since its header was read.
        """
        import gguf.constants
        import gguf.quants

        self.check_rows(start, stop)
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


def read_gguf(path: Path, arriving: WeightFile | None = None) -> GgufFile:
    """Read and check the header of a GGUF file; reads no weights.

    Args:
        arriving: the file, if it is not at `path` yet.

    Raises:
        DamagedCheckpoint: the header is cut off, or contradicts the file or itself.
        UnsupportedModel: a version, byte order or tensor type that is not read.
        ModelNotFound: no such file.
    """
    weights = arriving or local_file(path)
    with (
        opened(weights, 0, 0),
        io.BufferedReader(WeightStream(weights), _HEADER_BUFFER) as stream,
    ):
        header = read_header(stream, weights.size, str(path))
    return GgufFile(path, header.values, _locate(weights, header))


def _locate(weights: WeightFile, header: GgufHeader) -> dict[str, GgufTensor]:
    """Locate each tensor; like llama.cpp, demand that they follow one another, padded."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    path, size = weights.path, weights.size
    sizes = {
        int(number): (number.name, *GGML_QUANT_SIZES[number]) for number in GGMLQuantizationType
    }
    tensors: dict[str, GgufTensor] = {}
    expected = 0
    for info in header.tensors:
        if info.type_number not in sizes:
            raise UnsupportedModel(
                f"Tensor {info.name} of {path} has the unknown type {info.type_number}.",
                hint="Use a Q8_0, Q4_K_M or F16 file of the same model.",
            )
        dtype, block, block_bytes = sizes[info.type_number]
        if info.name in tensors:
            raise _damaged(path, f"Tensor {info.name} occurs twice.")
        if info.shape[-1] % block:
            raise _damaged(
                path, f"Tensor {info.name} has {info.shape[-1]} columns: no {dtype} blocks."
            )
        nbytes = math.prod(info.shape) // block * block_bytes
        if info.offset != expected:
            raise _damaged(
                path, f"Tensor {info.name} is at {info.offset:,} and should be at {expected:,}."
            )
        expected += nbytes + -nbytes % header.alignment
        if header.data_start + info.offset + nbytes > size:
            raise _damaged(
                path, f"Tensor {info.name} ends beyond the end of the file: it is cut off."
            )
        # Each element of a vector is a row.
        row_bytes = nbytes // info.shape[0]
        if row_bytes * info.shape[0] != nbytes:
            raise _damaged(path, f"Tensor {info.name} is a vector stored in {dtype} blocks.")
        start = header.data_start + info.offset
        tensors[info.name] = GgufTensor(
            info.name, dtype, info.shape, nbytes, weights, start, row_bytes
        )
    return tensors


def _damaged(path: Path, why: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(f"{path} is damaged.", why=why, hint=DOWNLOAD_AGAIN)
