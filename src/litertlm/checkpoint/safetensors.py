"""The safetensors format: one file, or shards named by `model.safetensors.index.json`.

A file is eight bytes of header length (little-endian), a JSON object that gives each tensor's
dtype, shape and byte range, and the tensors' bytes without gaps
(https://github.com/huggingface/safetensors#format). Headers are checked in full before any
tensor is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import (
    DOWNLOAD_AGAIN,
    LFS_POINTER,
    FileTensor,
    WeightFile,
    is_count,
    local_file,
    parse_json_object,
    read_json_object,
    read_range,
)
from litertlm.constants import SAFETENSORS_SUFFIX, WEIGHTS_FILE, WEIGHTS_INDEX_FILE
from litertlm.errors import DamagedCheckpoint, LiteRtLmError, ModelNotFound, UnsupportedModel
from litertlm.text import is_utf8

# The format allows 100 MB. A dense model of 100,000 tensors stays below this, and JSON of this
# size is parsed in a second.
HEADER_LIMIT = 16_000_000

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
_STORED: dict[str, Any] = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}


@dataclass(frozen=True)
class SafetensorsTensor(FileTensor):
    """A tensor in a safetensors file; see `StoredTensor`."""

    def merged(self) -> SafetensorsTensor:
        """The same tensor with all axes but the last merged into rows."""
        return replace(self, shape=(math.prod(self.shape[:-1]), self.shape[-1]))

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` as float32, `[stop - start, *shape[1:]]`, in a fresh array.

        Raises:
            UnsupportedModel: the tensor is not BF16, F16 or F32.
            DamagedCheckpoint: the file changed since its header was read.
        """
        stored = self.raw_rows(start, stop)
        if self.dtype == "BF16":
            wide = stored.astype(np.uint32)
            wide <<= 16
            return wide.view(np.float32)
        return stored.astype(np.float32, copy=False)

    def raw_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `[start, stop)` as stored: uint16 bits for BF16, else float16 or float32.

        Raises:
            UnsupportedModel, DamagedCheckpoint: as `rows`.
        """
        if self.dtype not in _STORED:
            raise UnsupportedModel(
                f"Tensor {self.name} is stored as {self.dtype}.",
                why=f"{self.file.path} has pre-quantized or non-float weights; "
                "only BF16, F16 and F32 are supported.",
                hint="Use the original checkpoint that was quantized.",
            )
        self.check_rows(start, stop)
        block = np.empty((stop - start, *self.shape[1:]), _STORED[self.dtype])
        row_bytes = math.prod(self.shape[1:]) * block.itemsize
        read_range(self.file, self.offset + start * row_bytes, block, tensor=self.name)
        return block


def read_header(path: Path) -> dict[str, SafetensorsTensor]:
    """The tensors of one file on disk, as `parse_header`.

    Raises:
        ModelNotFound: no such file.
        DamagedCheckpoint: as `parse_header`.
    """
    return parse_header(local_file(path))


def header_size(start: bytes) -> int | None:
    """Bytes before the data of a file that begins with `start`; None if it cannot be such a file.

    Args:
        start: at least eight bytes.
    """
    length = int.from_bytes(start[:8], "little")
    return 8 + length if length <= HEADER_LIMIT else None


def parse_header(file: WeightFile) -> dict[str, SafetensorsTensor]:
    """The tensors of one file, by name, in the order of their data; validated against its size.

    Raises:
        DamagedCheckpoint: the header contradicts the file or itself.
    """
    path, size = file.path, file.size
    length_bytes = np.zeros(8, np.uint8)
    if size < 8:
        raise _damaged(path, f"It has {size} bytes, and the header's length alone takes 8.")
    read_range(file, 0, length_bytes, tensor="(header)")
    if length_bytes.tobytes() == LFS_POINTER[:8]:
        raise _damaged(path, "It is a Git LFS pointer: the file itself was not downloaded.")
    length = int.from_bytes(length_bytes.tobytes(), "little")
    if length > size - 8:
        raise _damaged(
            path, f"Its header should have {length:,} bytes; the file has {size:,}: it is cut off."
        )
    if length > HEADER_LIMIT:
        raise _damaged(path, f"Its header has {length:,} bytes; at most {HEADER_LIMIT:,} are read.")
    header_bytes = np.empty(length, np.uint8)
    read_range(file, 8, header_bytes, tensor="(header)")
    header = parse_json_object(header_bytes.tobytes(), f"The header of {path}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _damaged(path, "Its __metadata__ is not an object.")
    data_start = 8 + length
    tensors = [_tensor(file, name, entry, data_start) for name, entry in header.items()]
    tensors.sort(key=lambda t: (t.offset, t.nbytes))
    _check_contiguous(path, tensors, data_start, size)
    return {t.name: t for t in tensors}


def read_folder(
    folder: Path, arriving: Mapping[str, WeightFile] | None = None
) -> dict[str, SafetensorsTensor]:
    """The tensors of a checkpoint folder, by name, in the order of files and of their data.

    Either `model.safetensors`, the shards of the index, or a single safetensors file of another
    name.

    Args:
        arriving: files that are not in the folder yet, by name.

    Raises:
        ModelNotFound: the folder has no safetensors file.
        DamagedCheckpoint: a file is damaged, missing, or contradicts the index.
    """
    arriving = arriving or {}
    if WEIGHTS_FILE in arriving or (folder / WEIGHTS_FILE).exists():
        return _read_file(folder / WEIGHTS_FILE, arriving)
    if (folder / WEIGHTS_INDEX_FILE).exists():
        return _read_shards(folder, arriving)
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1 and "-of-" not in files[0].name:
        return read_header(files[0])
    if files:
        raise DamagedCheckpoint(
            f"{folder} has {len(files)} safetensors files and no {WEIGHTS_INDEX_FILE}.",
            why="The index lists the files that belong to the model.",
            hint=f"Download {WEIGHTS_INDEX_FILE} into the folder.",
        )
    raise ModelNotFound(f"{folder} has no safetensors weights.")


def _read_file(path: Path, arriving: Mapping[str, WeightFile]) -> dict[str, SafetensorsTensor]:
    return parse_header(arriving.get(path.name) or local_file(path))


def _read_shards(folder: Path, arriving: Mapping[str, WeightFile]) -> dict[str, SafetensorsTensor]:
    index = folder / WEIGHTS_INDEX_FILE
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise DamagedCheckpoint(f"{index} has no weight_map.", hint=DOWNLOAD_AGAIN)
    for tensor, name in weight_map.items():
        if not _is_plain_name(name):
            raise DamagedCheckpoint(
                f"{index} places tensor {tensor} in {name!r}.",
                why="A shard must be a safetensors file in the same folder.",
            )
    tensors: dict[str, SafetensorsTensor] = {}
    for name in sorted(set(weight_map.values())):
        for tensor in _read_shard(folder / name, index, arriving).values():
            other = tensors.setdefault(tensor.name, tensor)
            if other is not tensor:
                raise DamagedCheckpoint(
                    f"Tensor {tensor.name} is in two shards of {folder}.",
                    why=f"Both {other.file.path.name} and {name} contain it.",
                )
    _check_index(index, weight_map, tensors)
    return tensors


def _read_shard(
    path: Path, index: Path, arriving: Mapping[str, WeightFile]
) -> dict[str, SafetensorsTensor]:
    try:
        return _read_file(path, arriving)
    except ModelNotFound as error:
        raise DamagedCheckpoint(
            f"{path} is missing.", why=f"{index.name} names it.", hint="Download it."
        ) from error


def _check_index(
    index: Path, weight_map: Mapping[str, str], tensors: Mapping[str, SafetensorsTensor]
) -> None:
    for name, file in weight_map.items():
        if name not in tensors or tensors[name].file.path.name != file:
            raise DamagedCheckpoint(
                f"{index.parent / file} does not contain tensor {name}.",
                why=f"{index.name} lists it there.",
                hint=DOWNLOAD_AGAIN,
            )


def _tensor(file: WeightFile, name: str, entry: object, data_start: int) -> SafetensorsTensor:
    path = file.path
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise _damaged(path, f"Tensor {name} lacks a dtype, a shape or data_offsets.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _damaged(path, f"Tensor {name} has the unknown dtype {dtype!r}.")
    if not isinstance(shape, list) or len(shape) > 32 or not all(map(is_count, shape)):
        raise _damaged(path, f"Tensor {name} has the impossible shape {shape!r}.")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_count, offsets)):
        raise _damaged(path, f"Tensor {name} has the impossible data_offsets {offsets!r}.")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * _BITS[dtype]:
        raise _damaged(
            path,
            f"Tensor {name} has {end - begin:,} bytes, which is not {dtype} {shape}.",
        )
    return SafetensorsTensor(name, dtype, tuple(shape), end - begin, file, data_start + begin)


def _check_contiguous(
    path: Path, tensors: list[SafetensorsTensor], data_start: int, size: int
) -> None:
    """The tensors, sorted by offset, must fill the file from `data_start` to its end."""
    position = data_start
    for tensor in tensors:
        if tensor.offset + tensor.nbytes > size:
            raise _damaged(
                path, f"Tensor {tensor.name} ends beyond the end of the file: it is cut off."
            )
        if tensor.offset != position:
            problem = "overlaps the one before" if tensor.offset < position else "follows a gap"
            raise _damaged(path, f"Tensor {tensor.name} {problem}.")
        position += tensor.nbytes
    if position != size:
        raise _damaged(path, f"{size - position:,} bytes at its end belong to no tensor.")


def _is_plain_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(SAFETENSORS_SUFFIX)
        and name == Path(name).name
        and not set(name) & set("\\/:\0")
        and is_utf8(name)
    )


def _damaged(path: Path, why: str) -> LiteRtLmError:
    return DamagedCheckpoint(f"{path} is damaged.", why=why, hint=DOWNLOAD_AGAIN)
