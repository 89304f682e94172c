"""Reading checkpoint files: exact byte ranges and JSON objects, with errors that name the file."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from litertlm.errors import (
    DamagedCheckpoint,
    LiteRtLmError,
    ModelNotFound,
    NotEnoughResources,
    resource_error,
)

if TYPE_CHECKING:  # a config.json is read without numpy
    from numpy.typing import NDArray

DOWNLOAD_AGAIN = "Download or copy the file again."

# The start of the text that a clone without Git LFS has in place of a large file.
LFS_POINTER = b"version https://git-lfs"

ReadAt = Callable[[memoryview, int], int]
"""Fills a buffer from an offset of a file; returns how many bytes were read, 0 at its end."""


class WeightFile(Protocol):
    """A file that tensors are read from, by several threads at once. It may still be downloaded.

    Attributes:
        path: where it is, or will be.
        size: of the complete file, in bytes.
    """

    @property
    def path(self) -> Path: ...
    @property
    def size(self) -> int: ...

    def will_compare(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Whether the file is read only once. Then it must be assumed that the bytes of two ranges
        are equal, and the file compares them when it has them."""

    def reading(self, start: int, stop: int) -> AbstractContextManager[ReadAt]:
        """Waits until bytes `[start, stop)` can be read; reads anywhere between them.

        Raises:
            OSError: the file cannot be opened. LiteRtLmError: its download failed.
        """


@dataclass(frozen=True)
class LocalFile:
    """A complete file on disk; see `WeightFile`.

    Each reading opens the file: threads share nothing, and a checkpoint has no open files.
    """

    path: Path
    size: int

    def will_compare(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """See `WeightFile.will_compare`."""
        return False

    @contextmanager
    def reading(self, start: int, stop: int) -> Iterator[ReadAt]:
        """See `WeightFile.reading`."""
        with self.path.open("rb", buffering=0) as file:

            def read_at(view: memoryview, offset: int) -> int:
                file.seek(offset)
                return file.readinto(view)

            yield read_at


def local_file(path: Path) -> LocalFile:
    """The file at `path`.

    Raises:
        ModelNotFound, DamagedCheckpoint: as `regular_file_size`.
    """
    return LocalFile(path, regular_file_size(path))


class WeightStream(io.RawIOBase):
    """A weight file as a stream of bytes, for parsers."""

    def __init__(self, file: WeightFile) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._file.size, self._position + len(view))
        with self._file.reading(self._position, stop) as read_at:
            count = read_at(view[: stop - self._position], self._position)
        self._position += count
        return count


@dataclass(frozen=True)
class FileTensor:
    """A tensor in a file; see `StoredTensor`.

    Attributes:
        file: the file that contains it.
        offset: of its first byte, from the start of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    file: WeightFile
    offset: int

    @property
    def range(self) -> tuple[int, int]:
        """The bytes of the file that it takes, end exclusive."""
        return self.offset, self.offset + self.nbytes

    def check_rows(self, start: int, stop: int) -> None:
        """Raises ValueError unless `[start, stop)` are rows of the first axis; a scalar is one."""
        if not 0 <= start <= stop <= (self.shape[0] if self.shape else 1):
            raise ValueError(f"rows {start}:{stop} of {self.name}, shape {self.shape}")


def regular_file_size(path: Path) -> int:
    """Size in bytes of the regular file that `path` is or links to.

    Symbolic links are followed, since Hugging Face's cache stores every file as one.

    Raises:
        ModelNotFound: the path does not exist, or is a link to nothing.
        DamagedCheckpoint: it is a folder, a pipe or a device, or is not readable.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ModelNotFound(f"{path} does not exist.", hint=DOWNLOAD_AGAIN) from None
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise DamagedCheckpoint(f"{path} is not a file.")
    return status.st_size


def read_range(file: WeightFile, offset: int, into: NDArray[Any], *, tensor: str) -> None:
    """Fill the contiguous array `into` with the bytes of `file` from `offset`.

    Raises:
        DamagedCheckpoint: the file ends early or is not readable; the error names the tensor.
    """
    view = into.reshape(-1).view("uint8")
    with opened(file, offset, offset + len(view)) as read_at:
        done = 0
        while done < len(view):
            count = read_at(view[done:].data, offset + done)
            if not count:
                raise ends_early(file, tensor)
            done += count


@contextmanager
def opened(file: WeightFile, start: int, stop: int) -> Iterator[ReadAt]:
    """As `file.reading`, with errors of the system explained.

    Raises:
        DamagedCheckpoint: the file is not readable.
    """
    try:
        with file.reading(start, stop) as read_at:
            yield read_at
    except OSError as error:
        raise unreadable(file.path, error) from error


def ends_early(file: WeightFile, tensor: str) -> DamagedCheckpoint:
    """The error for a file that became shorter."""
    return DamagedCheckpoint(
        f"{file.path} ends inside of tensor {tensor}.",
        why="The file became shorter after its header was read.",
        hint=DOWNLOAD_AGAIN,
    )


def read_bytes(path: Path, limit: int) -> bytes:
    """The contents of a small file.

    Raises:
        ModelNotFound, DamagedCheckpoint: as `regular_file_size`; or it exceeds `limit` bytes.
    """
    size = regular_file_size(path)
    if size > limit:
        raise DamagedCheckpoint(
            f"{path} is too large.",
            why=f"It has {size:,} bytes; the limit is {limit:,}.",
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if data.startswith(LFS_POINTER):
        raise DamagedCheckpoint(
            f"{path} was not downloaded: it is a Git LFS pointer.", hint=DOWNLOAD_AGAIN
        )
    return data


def read_json_object(path: Path, limit: int = 16_000_000) -> dict[str, Any]:
    """The JSON object in a UTF-8 file; a byte order mark is accepted.

    Raises:
        ModelNotFound, DamagedCheckpoint: as `read_bytes`, or it is not a JSON object.
    """
    return parse_json_object(read_bytes(path, limit), str(path))


def optional_json_object(path: Path) -> dict[str, Any]:
    """As `read_json_object`; empty if there is no such file."""
    return read_json_object(path) if path.exists() else {}


def parse_json_object(data: bytes, source: str) -> dict[str, Any]:
    """The JSON object in `data`; `source` names it in errors.

    Raises:
        DamagedCheckpoint: not UTF-8, not JSON, nested too deeply, a key twice, not an object.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise DamagedCheckpoint(
            f"{source} is not UTF-8 text.", why=str(error), hint=DOWNLOAD_AGAIN
        ) from error
    except (ValueError, RecursionError) as error:
        raise DamagedCheckpoint(
            f"{source} is not valid JSON.", why=str(error), hint=DOWNLOAD_AGAIN
        ) from error
    except MemoryError as error:
        raise NotEnoughResources(f"Not enough memory to read {source}.") from error
    if not isinstance(value, dict):
        raise DamagedCheckpoint(
            f"{source} is not a JSON object.", why=f"It is a {type(value).__name__}."
        )
    return value


def is_count(value: object) -> bool:
    """Whether a JSON value is a non-negative integer that fits 63 bits (and not a bool)."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def read_magic(path: Path) -> bytes:
    """The first four bytes of a file, fewer if it is shorter."""
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise unreadable(path, error) from error


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f"key {next(_repeated(pairs))!r} occurs twice")
    return result


def _repeated(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            yield key
        seen.add(key)


def unreadable(path: Path, error: OSError) -> LiteRtLmError:
    """The error for a file that the system does not read."""
    what = f"Cannot read {path}."
    limit = resource_error(error, what)
    return limit or DamagedCheckpoint(what, why=error.strerror or str(error))
