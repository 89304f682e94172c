"""Every input that ever failed, as small files that say what was changed of which base.

An entry is JSON: target, base, `changes`, signature and note from when it was found, and `known`:
the kind of its failure while that is not fixed, then null. A changed file is stored as text, or as
the bytes that replace the middle of the base's file: `[kept at the beginning, kept at the end,
base64]`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.bases import base_files
from fuzz.targets import Case, Change

FOLDER = Path(__file__).parent / "corpus"
_LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Entry:
    """A stored case.

    Attributes:
        case: the input.
        known: the kind of its failure (`Outcome.kind`) where it is not fixed yet.
        signature: kind and module when it was found.
        note: the message when it was found.
    """

    case: Case
    known: str | None
    signature: str
    note: str


def load_entry(path: Path) -> Entry:
    """Read an entry."""
    content = json.loads(path.read_text(encoding="utf-8"))
    base = content["base"]
    changes = {name: _unpack(base, name, c) for name, c in content["changes"].items()}
    case = Case(content["target"], base, changes, content["write"])
    return Entry(case, content["known"], content["signature"], content["note"])


def save_entry(entry: Entry, folder: Path = FOLDER) -> Path:
    """Write an entry under a name made from its content."""
    case = entry.case
    content = {
        "target": case.target,
        "base": case.base,
        "changes": {name: _pack(case.base, name, c) for name, c in case.changes.items()},
        "write": case.write,
        "known": entry.known,
        "signature": entry.signature,
        "note": entry.note,
    }
    stored = json.dumps(content["changes"], sort_keys=True)
    digest = hashlib.sha256(f"{case.base}{stored}".encode()).hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.target}-{digest}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def entries() -> list[Path]:
    """All entries."""
    return sorted(FOLDER.glob("*.json"))


def known_failures() -> frozenset[tuple[str, str]]:
    """(target, kind) of the failures that are not fixed."""
    loaded = map(load_entry, entries())
    return frozenset((entry.case.target, entry.known) for entry in loaded if entry.known)


def _pack(base: str, name: str, change: Change) -> Any:
    if isinstance(change, str):
        return {"kind": change}
    if len(change) <= _LONGEST_TEXT:
        try:
            text = change.decode()
            if "\x00" not in text:
                return {"text": text}
        except UnicodeDecodeError:
            pass
    old = base_files(base).get(name, b"")
    limit = min(len(old), len(change))
    head = next((i for i in range(limit) if old[i] != change[i]), limit)
    limit -= head
    tail = next((i for i in range(limit) if old[-1 - i] != change[-1 - i]), limit)
    middle = zlib.compress(change[head : len(change) - tail], 9)
    return {"delta": [head, tail, base64.b64encode(middle).decode()]}


def _unpack(base: str, name: str, packed: Any) -> Change:
    if "kind" in packed:
        return str(packed["kind"])
    if "text" in packed:
        return str(packed["text"]).encode()
    head, tail, middle = packed["delta"]
    old = base_files(base).get(name, b"")
    data = zlib.decompress(base64.b64decode(middle))
    return old[:head] + data + (old[len(old) - tail :] if tail else b"")
