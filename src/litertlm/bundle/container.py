"""The `.litertlm` container: a header that lists sections, each on a 16 KiB boundary.

Format: google-ai-edge/LiteRT-LM, schema/core (litertlm_header_schema.fbs), as litert-lm-builder
0.18.1 writes it. Only sizes are needed to write the header, so sections can be streamed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
from litert_lm_builder import litertlm_core as core
from litert_lm_builder import litertlm_header_schema_py_generated as schema

from litertlm.errors import DamagedBundle

LLM_METADATA = "LlmMetadataProto"
EXECUTOR_METADATA = "ExecutorMetadataProto"
HF_TOKENIZER = "HF_Tokenizer_Zlib"
SENTENCEPIECE = "SP_Tokenizer"
TFLITE_MODEL = "TFLiteModel"

_MAX_HEADER = 1 << 24


@dataclass(frozen=True)
class Section:
    """A section to be written.

    Attributes:
        kind: a name of the schema's AnySectionDataType.
        nbytes: exact size.
        items: its own metadata.
    """

    kind: str
    nbytes: int
    items: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlacedSection:
    """A section of a file: bytes `[begin, end)`."""

    kind: str
    begin: int
    end: int
    items: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.end - self.begin


@dataclass(frozen=True)
class Header:
    """What a file's header says.

    Attributes:
        version: of the format, `1.7.0`.
        system: the file's own metadata (uuid, ...).
        sections: in file order.
    """

    version: str
    system: Mapping[str, Any]
    sections: tuple[PlacedSection, ...]

    def first(self, kind: str) -> PlacedSection | None:
        """The first section of a kind."""
        return next((s for s in self.sections if s.kind == kind), None)


def place(sections: Sequence[Section], system: Mapping[str, str]) -> tuple[PlacedSection, ...]:
    """Give every section its offset; `system` must have its final lengths."""
    end = len(encode_header([PlacedSection(s.kind, 1, 1, s.items) for s in sections], system))
    placed = []
    for section in sections:
        begin = -(-end // core.BLOCK_SIZE) * core.BLOCK_SIZE
        end = begin + section.nbytes
        placed.append(PlacedSection(section.kind, begin, end, section.items))
    return tuple(placed)


def encode_header(sections: Sequence[PlacedSection], system: Mapping[str, str]) -> bytes:
    """The bytes at the start of the file."""
    tree = schema.LiteRTLMMetaDataT(
        systemMetadata=schema.SystemMetadataT(entries=[_pair(*item) for item in system.items()]),
        sectionMetadata=schema.SectionMetadataT(
            objects=[
                schema.SectionObjectT(
                    items=[_pair(*item) for item in s.items.items()],
                    dataType=getattr(schema.AnySectionDataType, s.kind),
                    beginOffset=s.begin,
                    endOffset=s.end,
                )
                for s in sections
            ]
        ),
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder))
    packed = bytes(builder.Output())
    version = (
        core.LITERTLM_MAJOR_VERSION,
        core.LITERTLM_MINOR_VERSION,
        core.LITERTLM_PATCH_VERSION,
    )
    head = core.HEADER_MAGIC_BYTES + b"".join(v.to_bytes(4, "little") for v in version)
    head = head.ljust(core.HEADER_END_LOCATION_BYTE_OFFSET, b"\0")
    end = (core.HEADER_BEGIN_BYTE_OFFSET + len(packed)).to_bytes(8, "little")
    return bytes(head + end + packed)


def read_header(path: Path) -> Header:
    """Read and check the header of any `.litertlm` file.

    Raises:
        DamagedBundle: not such a file, or sections that lie outside of it.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(core.HEADER_BEGIN_BYTE_OFFSET)
        if head[: len(core.HEADER_MAGIC_BYTES)] != core.HEADER_MAGIC_BYTES or len(head) < 32:
            raise _damaged(path, "It does not start with LITERTLM.")
        end = int.from_bytes(head[core.HEADER_END_LOCATION_BYTE_OFFSET :], "little")
        length = end - core.HEADER_BEGIN_BYTE_OFFSET
        if not 0 < length <= _MAX_HEADER or end > size:
            raise _damaged(path, f"Its header would end at {end} of {size} bytes.")
        packed = f.read(length)
    try:
        root = schema.LiteRTLMMetaData.GetRootAs(packed, 0)
        entries = root.SystemMetadata()
        objects = root.SectionMetadata()
        system = _items(entries.Entries, entries.EntriesLength())
        kinds = core.SECTION_DATA_TYPE_TO_STRING_MAP
        sections = tuple(
            PlacedSection(
                kinds[s.DataType()],
                s.BeginOffset(),
                s.EndOffset(),
                _items(s.Items, s.ItemsLength()),
            )
            for s in map(objects.Objects, range(objects.ObjectsLength()))
        )
    # The generated reader raises whatever a wrong offset leads to.
    except (
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise _damaged(path, f"Its header cannot be read ({type(error).__name__}).") from error
    for section in sections:
        if not 0 < section.begin <= section.end <= size:
            raise _damaged(
                path, f"Section {section.kind} would end at {section.end} of {size} bytes."
            )
    if not sections:
        raise _damaged(path, "It has no sections.")
    version = ".".join(str(int.from_bytes(head[i : i + 4], "little")) for i in (8, 12, 16))
    return Header(version, system, sections)


def read_section(path: Path, section: PlacedSection) -> bytes:
    """The bytes of a section."""
    with path.open("rb") as f:
        f.seek(section.begin)
        return f.read(section.nbytes)


def _pair(key: str, value: str) -> Any:
    return schema.KeyValuePairT(
        key=key, value=schema.StringValueT(value), valueType=schema.VData.StringValue
    )


def _items(at: Callable[[int], Any], count: int) -> dict[str, Any]:
    """The key-value pairs of a vector. (The object API of the generated reader cannot unpack
    them: it calls a function that it does not define.)"""
    items = {}
    for pair in map(at, range(count)):
        table = pair.Value()
        kind = next(name for name, n in vars(schema.VData).items() if n == pair.ValueType())
        value = getattr(schema, kind)()
        value.Init(table.Bytes, table.Pos)
        content = value.Value()
        items[pair.Key().decode()] = content.decode() if isinstance(content, bytes) else content
    return items


def _damaged(path: Path, why: str) -> DamagedBundle:
    return DamagedBundle(
        f"{path.name} is not a whole .litertlm bundle.",
        why=why,
        hint="Delete it and run the same command again.",
    )
