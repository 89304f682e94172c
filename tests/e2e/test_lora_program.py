"""A LoRA adapter in a local folder: merged into the base that it names, and run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from program import Ended, run_program
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, write_adapter
from tiny.gguf_file import write_gguf

ATTENTION = ADAPTERS["attention"]
FLOAT = ("--quantize", "none")


def sha256_of(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    digest: str = json.loads(ended.out)["sha256"]
    return digest


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_checkpoint(MODELS[ATTENTION.base], tmp_path / "base")


def test_adapter_is_merged_and_answers(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(ATTENTION, tmp_path / "tuned", "../base")  # as seen from the adapter
    question = ("--prompt", "What is the capital?", "--max-tokens", "8")
    # Some trainings leave the base's config beside the adapter.
    (adapter / "config.json").write_bytes((base / "config.json").read_bytes())
    ended = run_program("run", adapter, *FLOAT, *question, home=tmp_path)
    assert ended.code == 0, ended.err
    assert f"Converting tuned with its base {base}...\n" in ended.err
    assert "✓ Model successfully converted!\n" in ended.err
    alone = run_program("run", base, *FLOAT, *question, home=tmp_path)
    assert alone.code == 0, alone.err
    assert ended.out.strip() != alone.out.strip(), "the adapter changes what is said"

    (shown,) = (
        fields
        for fields in json.loads(run_program("list", "--json", home=tmp_path).out)
        if fields["model"] == "local/tuned"
    )
    assert (shown["origin"], shown["base"]) == (str(adapter), str(base))
    again = run_program("pull", adapter, *FLOAT, home=tmp_path)
    assert "✓ Model already exists at " in again.err

    # A base that changes changes the model.
    write_checkpoint(replace(MODELS[ATTENTION.base], dtype="F32"), base)
    assert "✓ Model successfully converted!" in run_program("pull", adapter, home=tmp_path).err


def test_base_option_names_another_base(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(ATTENTION, tmp_path / "tuned", "/content/drive/my-model")
    lost = run_program("pull", adapter, home=tmp_path)
    assert lost.code == 3
    assert "✗ The adapter's base is not here: /content/drive/my-model." in lost.err
    assert "--base MODEL" in lost.err

    file = write_gguf(MODELS[ATTENTION.base], tmp_path / "base.gguf")
    first, second = (
        sha256_of(run_program("pull", adapter, "--base", path, "--json", home=tmp_path))
        for path in (base, file)
    )
    assert first != second
    third = run_program("pull", adapter, "--base", file, home=tmp_path)
    assert "✓ Model already exists at " in third.err


def test_base_that_does_not_fit_is_named(tmp_path: Path) -> None:
    other = write_checkpoint(MODELS["llama-bias-untied-linear"], tmp_path / "other")
    adapter = write_adapter(ATTENTION, tmp_path / "tuned", other)
    ended = run_program("pull", adapter, home=tmp_path)
    assert ended.code == 8
    assert f"✗ The adapter in {adapter} does not match its base." in ended.err
    assert "lora_A" in ended.err
    assert not list((tmp_path / "models").rglob("*.litertlm"))


def test_base_option_with_a_whole_model_is_a_usage_error(base: Path, tmp_path: Path) -> None:
    ended = run_program("pull", base, "--base", base, home=tmp_path)
    assert ended.code == 2
    assert "is not an adapter" in ended.err


def test_adapter_passes_verify(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(ATTENTION, tmp_path / "tuned", base)
    ended = run_program("convert", adapter, *FLOAT, "--verify", "--json", home=tmp_path)
    checks = {c["name"]: c for c in json.loads(ended.out)["verified"]["checks"]}
    for name in ("structure", "prompts", "tokens", "quality"):
        assert checks[name]["verdict"] == "passed", checks[name]
    assert checks["quality"]["kl_divergence"] < 1e-4

    # Against the base alone it is another model.
    ended = run_program(
        "verify", adapter, "--only", "quality", "--checkpoint", base, "--json", home=tmp_path
    )
    (quality,) = json.loads(ended.out)["checks"]
    assert quality["kl_divergence"] > 1e-2
