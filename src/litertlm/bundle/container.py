"""Writing the `.litertlm` container: a header that lists sections, each on a 16 KiB boundary.

Format: google-ai-edge/LiteRT-LM, schema/core (litertlm_header_schema.fbs), as litert-lm-builder
0.18.1 writes it. Only sizes are needed to write the header, so sections can be streamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
from litert_lm_builder import litertlm_header_schema_py_generated as schema

from litertlm.bundle_format.constants import (
    HEADER_BEGIN,
    HEADER_END_AT,
    MAGIC,
    SECTION_ALIGNMENT,
    VERSION,
)
from litertlm.bundle_format.header import PlacedSection, section_type


@dataclass(frozen=True)
class Section:
    """A section to be written.

    Attributes:
        kind: a name of SECTION_TYPES.
        nbytes: exact size.
        items: its own metadata.
    """

    kind: str
    nbytes: int
    items: Mapping[str, str] = field(default_factory=dict)


def place(sections: Sequence[Section], system: Mapping[str, str]) -> tuple[PlacedSection, ...]:
    """Give every section its offset; `system` must have its final lengths."""
    end = len(encode_header([PlacedSection(s.kind, 1, 1, s.items) for s in sections], system))
    placed = []
    for section in sections:
        begin = -(-end // SECTION_ALIGNMENT) * SECTION_ALIGNMENT
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
                    dataType=section_type(s.kind),
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
    head = MAGIC + b"".join(part.to_bytes(4, "little") for part in VERSION)
    end = (HEADER_BEGIN + len(packed)).to_bytes(8, "little")
    return head.ljust(HEADER_END_AT, b"\0") + end + packed


def _pair(key: str, value: str) -> Any:
    return schema.KeyValuePairT(
        key=key, value=schema.StringValueT(value), valueType=schema.VData.StringValue
    )
