"""A small part of `make chaos`: some kills and some faults, with everything that is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos import file_layer
from program import isolated_environment

KILLS = 15
EVERY = 61  # of so many file operations one fails


def test_kills_and_faults(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    environment = isolated_environment(tmp_path)
    environment["PYTHONPATH"] += f":{Path(__file__).parents[1]}"
    arguments = ["--kills", str(KILLS), "--seed", "7", "--every", str(EVERY), "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "all", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(file.read_text())
    kills, faults = counts["kills"], counts["faults"]
    assert kills["kills"] >= KILLS
    hit = {row["scenario"] for row in kills["stages"] if row["kills"]}
    assert hit == {"pull checkpoint", "pull bundle", "convert", "prune", "rm"}
    codes = {row["case"]: row["exit_code"] for row in faults["outcomes"]}
    assert codes["disk full: convert"] == codes["disk full: pull bundle"] == 6
    assert codes["read error: convert"] == 8
    assert codes["read error: show"] == codes["read error: run"] == 10
    assert kills["problems"] == faults["problems"] == []


class _Notes:
    """A watcher that lets everything go on, and writes it down."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def before(self, event: file_layer.Event) -> None:
        self.seen.append((event.kind, Path(event.path).name))

    def short(self, event: file_layer.Event) -> bool:
        return False

    def after(self, event: file_layer.Event) -> None:
        pass


def test_every_way_to_change_a_file_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins
    import io
    import os
    import shutil

    for module, names in ((os, file_layer.REPLACED), (io, ("open",)), (builtins, ("open",))):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))  # to be put back
    notes = _Notes()
    file_layer.install(tmp_path, notes)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "text").write_text("x")
    with (folder / "text").open("ab") as file:
        file.write(b"y")
    descriptor = os.open(folder / "raw", os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, 8)
    os.pwrite(descriptor, b"z", 3)
    os.fsync(descriptor)
    os.close(descriptor)
    assert (folder / "text").read_bytes() == b"xy"
    os.link(folder / "raw", folder / "linked")
    (folder / "raw").replace(folder / "moved")
    shutil.rmtree(folder)
    assert [e for e in notes.seen if e[0] not in {"read", "open"}] == [
        ("mkdir", "folder"),
        ("create", "text"),
        ("write", "text"),
        ("create", "text"),
        ("write", "text"),
        ("create", "raw"),
        ("truncate", "raw"),
        ("write", "raw"),
        ("fsync", "raw"),
        ("link", "linked"),
        ("rename", "raw"),
        *sorted([("remove", "text"), ("remove", "linked"), ("remove", "moved")], key=_order(notes)),
        ("remove", "folder"),
    ]
    assert ("read", "text") in notes.seen


def _order(notes: _Notes) -> Any:
    """A folder has no order; take that in which its files were removed."""
    return notes.seen.index
