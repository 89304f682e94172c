"""The provenance at the end of an exported bundle.

The bundle's own bytes are unchanged, so its SHA-256 stays the one that was recorded; the record
follows them. A reader of the format, such as the runtime, looks at the sections that the header
lists and not at what comes after the last one.

    bundle | MARK | uint64 length, little endian | JSON | SHA-256 of the JSON, 32 bytes
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from litertlm.bundle_format.header import damaged, read_header
from litertlm.store.provenance import Provenance, parse_provenance

_MARK = b"\0LITERTLM-RECORD"
_LENGTH_BYTES, _DIGEST_BYTES = 8, 32
_LARGEST = 1 << 20  # bytes after the last section


def encode_record(provenance: Provenance) -> bytes:
    """The bytes that follow a bundle."""
    data = json.dumps(asdict(provenance)).encode()
    size = len(data).to_bytes(_LENGTH_BYTES, "little")
    return _MARK + size + data + hashlib.sha256(data).digest()


def read_record(path: Path) -> Provenance | None:
    """The record at the end of a bundle; None where there is none.

    `size_bytes` of the record is where the bundle itself ends.

    Raises:
        ModelNotFound: no such file.
        DamagedBundle: the file is not a bundle, or something else follows its last section, such
            as a part of a record.
    """
    end = max(section.end for section in read_header(path).sections)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(end)
        rest = file.read(_LARGEST)
    start = rest.find(_MARK)
    if start < 0:
        if size - end > _LARGEST or rest.strip(b"\0"):
            raise damaged(path, f"{size - end:,} unknown bytes follow its last section.")
        return None
    at = start + len(_MARK)
    length = int.from_bytes(rest[at : at + _LENGTH_BYTES], "little")
    data = rest[at + _LENGTH_BYTES :][:length]
    digest = rest[at + _LENGTH_BYTES + length :]
    complete = len(data) == length and len(digest) == _DIGEST_BYTES
    if not complete or hashlib.sha256(data).digest() != digest:
        raise damaged(path, "The provenance at its end is cut off or was changed.")
    record = parse_provenance(data)
    if record is None or record.size_bytes != end + start:
        raise damaged(path, "The provenance at its end is that of another file.")
    return record
