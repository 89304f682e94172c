"""The header of a `.litertlm` file: `LITERTLM`, a version, and a flatbuffer that lists sections.

Schema: google-ai-edge/LiteRT-LM, schema/core/litertlm_header_schema.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litertlm.bundle_format.constants import HEADER_BEGIN, HEADER_END_AT, MAGIC, SECTION_TYPES
from litertlm.bundle_format.flatbuffer import FlatBuffer
from litertlm.errors import DamagedBundle, ModelNotFound

_LARGEST_HEADER = 16 << 20
_SECTION_NAMES = {number: name for name, number in SECTION_TYPES.items()}
_UNKNOWN_TYPE = "unknown type "
# VData: how the value of a key is stored, by number.
_STRING, _BOOL = 9, 8
_SCALARS = {
    1: "<B", 2: "<b", 3: "<H", 4: "<h", 5: "<I", 6: "<i", 7: "<f", _BOOL: "<?", 10: "<Q",
    11: "<q", 12: "<d",
}  # fmt: skip


@dataclass(frozen=True)
class PlacedSection:
    """A section of a file: bytes `[begin, end)`.

    Attributes:
        kind: a name of SECTION_TYPES; `unknown type N` for one that a newer version has added.
        items: its own metadata, such as `model_type`.
    """

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
    """The header of a file.

    Attributes:
        version: of the format, `1.7.0`.
        system: the file's own metadata (uuid, ...): strings, numbers and booleans.
        sections: in file order.
    """

    version: str = ""
    system: Mapping[str, Any] = field(default_factory=dict)
    sections: tuple[PlacedSection, ...] = ()

    def first(self, kind: str) -> PlacedSection | None:
        """The first section of a kind."""
        return next((s for s in self.sections if s.kind == kind), None)


def read_header(path: Path) -> Header:
    """Read and check the header of any `.litertlm` file.

    Raises:
        ModelNotFound: no such file.
        DamagedBundle: not such a file, a header that cannot be read, or sections outside of it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEADER_BEGIN)
            if not head.startswith(MAGIC) or len(head) < HEADER_BEGIN:
                raise damaged(path, "It does not start with LITERTLM.")
            (end,) = struct.unpack_from("<Q", head, HEADER_END_AT)
            if not HEADER_BEGIN < end <= min(size, _LARGEST_HEADER):
                raise damaged(path, f"Its header ends at byte {end:,}; the file has {size:,}.")
            data = file.read(end - HEADER_BEGIN)
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {path}.") from error
    try:
        system, sections = _parse(FlatBuffer(data))
    except (struct.error, ValueError) as error:
        raise damaged(path, f"Its header cannot be read: {error}.") from error
    for section in sections:
        if not end <= section.begin <= section.end <= size:
            raise damaged(
                path,
                f"Section {section.kind} is at bytes {section.begin:,} to {section.end:,}; "
                f"the file has {size:,}.",
            )
    if not sections:
        raise damaged(path, "It has no sections.")
    return Header(".".join(map(str, struct.unpack_from("<3I", head, len(MAGIC)))), system, sections)


def read_section(path: Path, section: PlacedSection) -> bytes:
    """The bytes of a section."""
    with path.open("rb") as file:
        file.seek(section.begin)
        return file.read(section.nbytes)


def section_type(kind: str) -> int:
    """The number of a section's kind, also of an unknown one."""
    if kind.startswith(_UNKNOWN_TYPE):
        return int(kind.removeprefix(_UNKNOWN_TYPE))
    return SECTION_TYPES[kind]


def damaged(path: Path, why: str) -> DamagedBundle:
    """The error for a bundle that cannot be read."""
    return DamagedBundle(
        f"{path} is damaged.",
        why=why,
        hint="Delete it and run the same command again, or download it again.",
    )


def _parse(buffer: FlatBuffer) -> tuple[dict[str, Any], tuple[PlacedSection, ...]]:
    """System metadata and sections of a LiteRTLMMetaData table."""
    root = buffer.root()
    system, listed = buffer.table(root, 0), buffer.table(root, 1)
    sections = tuple(
        PlacedSection(
            kind=_kind(buffer.scalar(table, 3, "<B")),
            begin=buffer.scalar(table, 1, "<Q"),
            end=buffer.scalar(table, 2, "<Q"),
            items=_items(buffer, table),
        )
        for table in (buffer.tables(listed, 0) if listed else ())
    )
    return _items(buffer, system) if system else {}, sections


def _kind(number: int) -> str:
    return _SECTION_NAMES.get(number, f"{_UNKNOWN_TYPE}{number}")


def _items(buffer: FlatBuffer, table: int) -> dict[str, Any]:
    """The KeyValuePair entries of a table's first field."""
    items: dict[str, Any] = {}
    for pair in buffer.tables(table, 0):
        key, kind, value = (
            buffer.string(pair, 0),
            buffer.scalar(pair, 1, "<B"),
            buffer.table(pair, 2),
        )
        if key is None or not value:
            raise ValueError("an entry of its metadata has no key or no value")
        if kind == _STRING:
            items[key] = buffer.string(value, 0) or ""
        elif kind in _SCALARS:
            items[key] = buffer.scalar(value, 0, _SCALARS[kind])
        else:
            raise ValueError(f"the entry {key[:50]!r} of its metadata has the unknown type {kind}")
    return items
