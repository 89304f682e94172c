"""How far a run has come, from what is on disk alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any

# In the order in which a run passes them.
CONVERT = (
    "nothing yet",
    "locked",
    "writing",
    "written",
    "record staged",
    "bundle renamed",
    "record renamed",
    "finished",
)
PULL_CHECKPOINT = ("nothing yet", "locked", "downloading", "downloaded", *CONVERT[2:])
PULL_BUNDLE = ("nothing yet", "locked", "downloading", *CONVERT[4:])
REMOVE = ("all there", "removing", "removed")


def stage_of_get(models: Path, model: str, *, before: str, right: Container[str]) -> str:
    """The stage of `pull` or `convert`, one of `CONVERT` or the others.

    Args:
        before: the SHA-256 of the bundle that was there before; empty without one.
        right: the SHA-256 of bundles that may be made.
    """
    folder = models / model
    names = _names(folder)
    bundle = next((folder / n for n in names if n.endswith(".litertlm") and n[0] != "."), None)
    staged = next((folder / n for n in names if n[0] == "." and n.endswith(".json.new")), None)
    if bundle is not None and (digest := sha256(bundle)) != before:
        if staged is None:
            return "finished"
        record = _json(bundle.with_suffix(".json"))
        return "record renamed" if record.get("sha256") == digest else "bundle renamed"
    if staged is not None:
        return "record staged"
    unfinished = [n for n in names if ".litertlm." in n and n.endswith(".tmp")]
    if unfinished:
        return "written" if sha256(folder / unfinished[0]) in right else "writing"
    if any(_names(p) for p in (folder / ".download", folder / "checkpoint" / ".download")):
        return "downloading"
    if any(name.endswith(".safetensors") for name in _names(folder / "checkpoint")):
        return "downloaded"
    # The lock file stays when a run has ended, and then there is a bundle.
    return "locked" if _names(models / ".locks") and folder.is_dir() else "nothing yet"


def stage_of_removal(folder: Path, all_files: set[str], kept: set[str]) -> str:
    """The stage of `rm` or `prune`, which leave `kept` of all files; one of `REMOVE`."""
    left = tree(folder) - kept
    if left >= all_files - kept:
        return "all there"
    return "removing" if left else "removed"


def tree(folder: Path) -> set[str]:
    """All files below a folder, relative to it."""
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
    }


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file; empty when it is gone."""
    with suppress(OSError):
        return hashlib.sha256(_read(path)).hexdigest()
    return ""


def _read(path: Path) -> bytes:
    # With what `file_layer` leaves alone: a look at the disk is no event of the program.
    descriptor = _open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))
    finally:
        os.close(descriptor)


_open = os.open


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(folder))
    return []


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        value = json.loads(_read(path))
        return value if isinstance(value, dict) else {}
    return {}
