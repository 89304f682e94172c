"""The headers of a checkpoint's files with weights, read before the weights are downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.constants import SAFETENSORS_SUFFIX

if TYPE_CHECKING:
    from litertlm.checkpoint import ReadAt
    from litertlm.families import Family
    from litertlm.hub.cache import CachedHub
    from litertlm.hub.client import HubClient
    from litertlm.hub.info import RepoFile, RepoInfo

    Hub = HubClient | CachedHub

FIRST_BYTES = 64 << 10  # more than the headers of most models have
_AT_ONCE = 8


def read_heads(hub: Hub, info: RepoInfo, files: Sequence[RepoFile]) -> dict[str, bytes]:
    """The headers of the safetensors files among `files`, by path.

    Raises:
        NetworkError and others: as `HubClient.read`.
    """
    from litertlm.checkpoint.safetensors import header_size

    def head(file: RepoFile) -> bytes:
        start = hub.read(info.repo, info.commit, file.path, first=min(file.size, FIRST_BYTES))
        size = header_size(start)
        if size is None or size <= len(start):
            return start
        return hub.read(info.repo, info.commit, file.path, first=min(file.size, size))

    weights = [file for file in files if file.name.endswith(SAFETENSORS_SUFFIX) and file.size]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((f.path for f in weights), pool.map(head, weights), strict=True))


def check_heads(
    info: RepoInfo, config: Mapping[str, Any], family: Family, heads: Mapping[str, bytes]
) -> bool:
    """Check names and shapes of all tensors against the family.

    Returns:
        whether the files can be read once, from the beginning to the end.

    Raises:
        DamagedCheckpoint, UnsupportedModel: as a conversion, but before a weight is downloaded.
    """
    from litertlm.checkpoint import Checkpoint, Tokenizer
    from litertlm.checkpoint.quantized import dequantized
    from litertlm.checkpoint.safetensors import SafetensorsTensor, parse_header
    from litertlm.checkpoint.views import is_in_order
    from litertlm.families import Signature

    tensors: dict[str, SafetensorsTensor] = {}
    for path, data in sorted(heads.items()):
        file = info.file(path)
        assert file is not None
        tensors |= parse_header(_Head(Path(info.repo) / file.name, file.size, data))
    in_order = False
    with suppress(_NotHere):  # what depends on values is checked by the conversion
        checkpoint = Checkpoint(
            path=Path(info.repo),
            format="safetensors",
            config=config,
            generation_config={},
            tensors=dequantized(f"config.json of {info.repo}", config, tensors),
            tokenizer=Tokenizer(None, None, {}, None, False, None, None),
        )
        in_order = all(map(is_in_order, checkpoint.tensors.values()))
        family.build(checkpoint, [Signature("decode", 1, 1, logits=True)])
    return in_order


class _NotHere(Exception):
    """Weights are needed."""


@dataclass(frozen=True)
class _Head:
    """The beginning of a file; see `WeightFile`."""

    path: Path
    size: int
    data: bytes

    def will_compare(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        return True  # the conversion compares them

    @contextmanager
    def reading(self, start: int, stop: int) -> Iterator[ReadAt]:
        if stop > len(self.data):
            raise _NotHere
        yield self._read

    def _read(self, view: memoryview, offset: int) -> int:
        part = self.data[offset : offset + len(view)]
        view[: len(part)] = part
        return len(part)
