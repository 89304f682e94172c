"""A GPU that is asked for and cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from litertlm.bundle_format.info import BundleInfo
from litertlm.runtime.engine import EngineOptions
from litertlm.services.chat.gpu import gpu_or_cpu
from recorder import Recorder


def probed(program: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EngineOptions, list[str]]:
    """What a probe by another program than Python leads to."""
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    recorder = Recorder()
    options = EngineOptions(backend="gpu", threads=3)
    return gpu_or_cpu(Path("x.litertlm"), BundleInfo(), options, recorder), recorder.lines


def test_a_driver_that_crashes_ends_the_probe_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "probe").write_text("#!/bin/sh\nkill -SEGV $$\n")
    options, told = probed(tmp_path / "probe", monkeypatch)
    assert options == EngineOptions(backend="cpu", threads=3)
    assert told[0] == "! No GPU can be used here, so the CPU is: its driver crashed " + (
        "(Segmentation fault)."
    )


def test_a_gpu_that_works_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "probe").write_text("#!/bin/sh\nexit 0\n")
    options, told = probed(tmp_path / "probe", monkeypatch)
    assert options.backend == "gpu"
    assert told == []
