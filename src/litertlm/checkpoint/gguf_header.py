"""The header of a GGUF file: key-values and tensor infos, from a file or from its first bytes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the `gguf`
package builds a numpy object per array element (5.7 s for a vocabulary of 49,152 tokens), so the
header is read here, with the standard library alone.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from litertlm.checkpoint.files import DOWNLOAD_AGAIN, LFS_POINTER
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

MAGIC = b"GGUF"
HEAD_BYTES = 64 << 10  # enough for `general.architecture`, which comes before the vocabulary

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_KEY_LIMIT = 65_535
_NAME_LIMIT = 256
_STRING_LIMIT = 16_000_000
_ARRAY_LIMIT = 8_000_000
_MAX_DIMS = 4


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's entry in the header.

    Attributes:
        shape: as PyTorch has it; GGUF stores the reverse.
        type_number: a value of GGMLQuantizationType.
        offset: of its first byte, from `GgufHeader.data_start`.
    """

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """A parsed header.

    Attributes:
        values: the key-values.
        tensors: in the order of the header.
        alignment: of the tensors' data, in bytes.
        data_start: offset of the data from the start of the file.
    """

    values: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_start: int


def read_header(file: BinaryIO, size: int, source: str) -> GgufHeader:
    """Parse a header.

    Args:
        file: at its start.
        size: of the file, in bytes.
        source: names the file in errors.

    Raises:
        DamagedCheckpoint: it is cut off, or contradicts the file or itself.
        UnsupportedModel: a version or byte order that is not read.
    """
    reader = _Reader(file, size, source)
    tensor_count, value_count = _read_counts(reader)
    values = dict(_read_values(reader, value_count))
    reader.check_count(tensor_count, 24, "tensors")
    tensors = tuple(_read_tensor_info(reader) for _ in range(tensor_count))
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 8 <= alignment <= 65536 or alignment % 8:
        raise reader.damaged(f"general.alignment is {alignment!r}.")
    return GgufHeader(values, tensors, alignment, reader.position + -reader.position % alignment)


def read_architecture(head: bytes) -> str | None:
    """`general.architecture` in the first bytes of a file, or None where they do not hold it.

    Raises:
        UnsupportedModel: a version or byte order that is not read.
    """
    reader = _Reader(io.BytesIO(head), len(head), "The file")
    try:
        _, value_count = _read_counts(reader)
        for key, value in _read_values(reader, value_count):
            if key == "general.architecture":
                return value if isinstance(value, str) else None
    except DamagedCheckpoint:  # most likely these bytes end before the key
        pass
    return None


def _read_counts(reader: _Reader) -> tuple[int, int]:
    """The numbers of tensors and of key-values, after the magic and the version."""
    magic = reader.take(4) if reader.size >= 24 else b""
    if magic == LFS_POINTER[:4]:
        raise reader.damaged("It is a Git LFS pointer: the file itself was not downloaded.")
    if magic != MAGIC:
        raise reader.damaged("It does not start as a GGUF file does.")
    version = reader.scalar("I")
    if version not in (2, 3):
        raise UnsupportedModel(
            f"{reader.source} is GGUF version {version}.",
            why="Versions 2 and 3 in little-endian byte order are read.",
            hint="Convert the model with a current llama.cpp.",
        )
    return reader.scalar("Q"), reader.scalar("Q")


def _read_values(reader: _Reader, count: int) -> Iterator[tuple[str, Any]]:
    """The key-values, one after the other."""
    reader.check_count(count, 13, "keys")
    keys = set()
    for _ in range(count):
        key = reader.string(_KEY_LIMIT)
        if key in keys:
            raise reader.damaged(f"Key {key} occurs twice.")
        keys.add(key)
        yield key, reader.value(reader.scalar("I"), key)


def _read_tensor_info(reader: _Reader) -> TensorInfo:
    name = reader.string(_NAME_LIMIT)
    dims = reader.scalar("I")
    if not 1 <= dims <= _MAX_DIMS:
        raise reader.damaged(f"Tensor {name} has {dims} dimensions.")
    shape = tuple(reversed([reader.scalar("Q") for _ in range(dims)]))
    if not all(0 < n < 1 << 40 for n in shape):
        raise reader.damaged(f"Tensor {name} has the impossible shape {list(shape)}.")
    return TensorInfo(name, shape, reader.scalar("I"), reader.scalar("Q"))


class _Reader:
    """Reads header fields one after the other; never more than the file can hold."""

    def __init__(self, file: BinaryIO, size: int, source: str) -> None:
        self.source = source
        self.size = size
        self.position = 0
        self._file = file

    def damaged(self, why: str) -> DamagedCheckpoint:
        """The error to raise."""
        return DamagedCheckpoint(f"{self.source} is damaged.", why=why, hint=DOWNLOAD_AGAIN)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self.position += count
        data = self._file.read(count) if self.position <= self.size else b""
        if len(data) != count:
            raise self.damaged("It ends inside of its header: it is cut off.")
        return data

    def scalar(self, code: str) -> Any:
        """The next number, by its code in struct."""
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def check_count(self, count: int, least_bytes: int, what: str) -> None:
        """Refuse a number of things that the rest of the file cannot hold."""
        if count * least_bytes > self.size - self.position:
            raise self.damaged(f"Its header has {count:,} {what}, more than fit into the file.")

    def string(self, limit: int) -> str:
        """The next text, of at most `limit` bytes."""
        length = int.from_bytes(self.take(8), "little")
        if length > limit:
            raise self.damaged(f"It has a text of {length:,} bytes; at most {limit:,} are read.")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise self.damaged("A text in its header is not UTF-8.") from None

    def value(self, kind: int, key: str) -> Any:
        """The next value, of a type of the format."""
        if kind == _STRING:
            return self.string(_STRING_LIMIT)
        if kind == _ARRAY:
            return self._array(key)
        if kind not in _SCALARS:
            raise self.damaged(f"Key {key} has the unknown type {kind}.")
        return self.scalar(_SCALARS[kind])

    def _array(self, key: str) -> list[Any]:
        kind, count = self.scalar("I"), self.scalar("Q")
        if count > _ARRAY_LIMIT:
            raise self.damaged(
                f"Key {key} has {count:,} elements; at most {_ARRAY_LIMIT:,} are read."
            )
        if kind == _STRING:
            self.check_count(count, 8, f"elements of {key}")
            return [self.string(_STRING_LIMIT) for _ in range(count)]
        if kind not in _SCALARS:
            raise self.damaged(f"Key {key} is an array of the unknown type {kind}.")
        layout = f"<{count}{_SCALARS[kind]}"
        self.check_count(struct.calcsize(layout), 1, f"bytes in {key}")
        return list(struct.unpack(layout, self.take(struct.calcsize(layout))))
