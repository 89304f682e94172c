"""A checkpoint is opened once and identified once, and what cannot be converted is said first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import litertlm.checkpoint
import litertlm.families
from litertlm.errors import ModelNotFound, UnsupportedModel
from litertlm.progress import Progress
from litertlm.services.acquire import AcquireRequest, acquire
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert import ConvertOptions, plan_conversion
from litertlm.settings import Settings
from litertlm.store import Store
from recorder import Recorder
from tiny import MODELS, write_checkpoint

TINY = MODELS["qwen3-gqa-tied"]


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """The first arguments of the calls of a function from now on."""
    calls: list[Any] = []
    original = getattr(module, name)

    def call(first: Any, *more: Any, **named: Any) -> Any:
        calls.append(first)
        return original(first, *more, **named)

    monkeypatch.setattr(module, name, call)
    return calls


def test_a_command_opens_and_identifies_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_checkpoint(TINY, tmp_path / "checkpoint")
    opened = counted(monkeypatch, litertlm.checkpoint, "open_checkpoint")
    identified = counted(monkeypatch, litertlm.families, "identify")
    settings = Settings(tmp_path / "models", tmp_path, {})
    progress: Progress = Recorder()
    acquire(
        AcquireRequest(str(source), options=ConvertOptions(kv_cache_max_len=64)),
        store=Store(settings.models_dir),
        settings=settings,
        progress=progress,
    )
    assert opened == [source]
    assert len(identified) == 1


def test_a_family_that_is_known_is_not_identified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_checkpoint(TINY, tmp_path / "checkpoint")
    known = CheckpointSource(source).family
    identified = counted(monkeypatch, litertlm.families, "identify")
    assert CheckpointSource(source, known_family=known).family is known
    assert identified == []


def test_an_unknown_type_is_reported_before_missing_weights(tmp_path: Path) -> None:
    source = write_checkpoint(TINY, tmp_path / "checkpoint")
    for file in source.glob("*.safetensors*"):
        file.unlink()
    with pytest.raises(ModelNotFound):
        plan_conversion(source, ConvertOptions())
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "model_type": "unheard_of"}))
    with pytest.raises(UnsupportedModel, match="unheard_of"):
        plan_conversion(source, ConvertOptions())
