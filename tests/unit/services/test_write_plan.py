"""A planned bundle is written completely, whatever the system takes at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from litertlm.bundle_format.constants import HF_TOKENIZER, LLM_METADATA
from litertlm.bundle_format.header import read_header
from litertlm.services.convert.conversion import write_plan
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from litertlm.services.verify.stub_bundle import plain_sections, write_stub
from litertlm.store.files import hash_in_background
from litertlm.tflite import pwrite_all
from recorder import Recorder
from tiny import MODELS, write_checkpoint

AT_ONCE = 100  # bytes that the double writes; every section is larger


@pytest.fixture
def short_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let os.pwrite write AT_ONCE bytes at most; how many bytes it was asked for."""
    asked: list[int] = []
    complete = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        asked.append(len(data))
        return complete(fd, bytes(memoryview(data)[:AT_ONCE]), offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    return asked


def written(source: Path, target: Path) -> bytes:
    target.touch()
    with hash_in_background(target) as file:
        write_plan(plan_conversion(source, ConvertOptions()), target, file, Recorder())
    return target.read_bytes()


def test_short_writes_of_a_bundle_are_continued(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = write_checkpoint(MODELS["qwen3-gqa-tied"], tmp_path / "checkpoint")
    expected = written(source, tmp_path / "expected.litertlm")
    asked = request.getfixturevalue("short_writes")
    assert written(source, tmp_path / "short.litertlm") == expected
    header = read_header(tmp_path / "expected.litertlm")
    for section in header.sections:
        if section.kind in (HF_TOKENIZER, LLM_METADATA):
            assert section.nbytes in asked  # of which AT_ONCE were written first
            if section.kind == HF_TOKENIZER:
                assert section.nbytes > AT_ONCE


def test_short_writes_of_a_stub_are_continued(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    write_stub(plain_sections(), tmp_path / "expected")
    assert request.getfixturevalue("short_writes") == []
    write_stub(plain_sections(), tmp_path / "short")
    assert (tmp_path / "short").read_bytes() == (tmp_path / "expected").read_bytes()


def test_a_write_of_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: 0)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="offset 12,345"):
        pwrite_all(file.fileno(), b"x", 12_345)
