"""`verify` as a user runs it: good bundles, damaged ones, repairs, reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litertlm.bundle import metadata
from litertlm.bundle.prompt_config import read_prompt_config
from litertlm.bundle.rewrite import rewrite
from litertlm.bundle.template_adapter import adapt
from litertlm.bundle_format.constants import LLM_METADATA, TFLITE_MODEL
from litertlm.bundle_format.header import read_header, read_section
from litertlm.bundle_format.info import read_bundle_info
from litertlm.checkpoint import open_checkpoint
from program import run_program
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a tiny Qwen3 that the program converted."""
    write_checkpoint(MODELS["qwen3-gqa-tied"], tmp_path / "tiny")
    ended = run_program("convert", "tiny", "--quantize", "none", home=tmp_path, cwd=tmp_path)
    assert ended.code == 0, ended.err
    return tmp_path


def bundle_of(home: Path) -> Path:
    (path,) = (home / "models").glob("local/tiny/*.litertlm")
    return path


def test_a_good_bundle_passes_everything(home: Path) -> None:
    ended = run_program("verify", "tiny", "--json", home=home, cwd=home)
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report["passed"] is True
    checks = {check["name"]: check for check in report["checks"]}
    assert list(checks) == ["structure", "prompts", "tokens", "quality", "behaviour"]
    for name in ("structure", "prompts", "tokens", "quality"):
        assert checks[name]["verdict"] == "passed", checks[name]
    assert checks["prompts"]["conversations"] == checks["prompts"]["equal"] >= 50
    assert checks["tokens"]["texts"] == checks["tokens"]["equal"] == 2000
    assert checks["quality"]["kl_divergence"] < 1e-4
    assert checks["quality"]["top1_agreement"] == 1.0
    # A model of random weights does not answer well, and that only warns.
    assert checks["behaviour"]["verdict"] == "warned"


def test_a_changed_file_fails_with_code_9(home: Path) -> None:
    bundle = bundle_of(home)
    content = bytearray(bundle.read_bytes())
    content[-64] ^= 0xFF
    bundle.write_bytes(content)
    ended = run_program("verify", "tiny", home=home, cwd=home)
    assert ended.code == 9
    assert "✗ structure" in ended.out
    assert "SHA-256 differs" in ended.out
    assert "- prompts" in ended.out
    assert "failed these checks: structure" in ended.err


def test_wrong_prompts_are_found_and_repaired(home: Path) -> None:
    bundle = bundle_of(home)
    header = read_header(bundle)
    own = read_prompt_config(open_checkpoint(home / "tiny"), adapt)
    message = metadata.llm_metadata_pb2.LlmMetadata()
    message.ParseFromString(metadata.llm_metadata(own, max_num_tokens=777))
    message.stop_tokens[0].token_ids.ids[0] = 99
    message.jinja_prompt_template = "{{ messages[0].content }}"
    spoilt = bundle.with_name("spoilt.litertlm")
    sections = {LLM_METADATA: message.SerializeToString()}
    rewrite(bundle, spoilt, sections, {"recipe": "none"})
    model = header.first(TFLITE_MODEL)
    assert model is not None

    by_file = ("verify", str(spoilt), "--checkpoint", str(home / "tiny"), "--only", "prompts")
    ended = run_program(*by_file, home=home, cwd=home)
    assert ended.code == 9
    assert "The stop tokens should be" in ended.out
    assert "A prompt differs" in ended.out

    ended = run_program(*by_file, "--repair", "--json", home=home, cwd=home)
    assert ended.code == 0, ended.err
    assert any("stop tokens" in line for line in json.loads(ended.out)["repaired"])
    info = read_bundle_info(spoilt)
    assert info.stop_tokens == own.stop_token_ids
    assert info.context == 777
    repaired_model = info.header.first(TFLITE_MODEL)
    assert repaired_model is not None
    assert read_section(spoilt, repaired_model) == read_section(bundle, model)
    again = run_program(*by_file, "--repair", "--json", home=home, cwd=home)
    assert json.loads(again.out)["repaired"] == []


def test_a_wrong_tokenizer_fails(home: Path) -> None:
    from tiny.tokenizer import tokenizer_json

    bundle = bundle_of(home)
    content = json.loads(tokenizer_json(adds_bos=False))
    content["model"]["merges"] = content["model"]["merges"][:40]
    other = home / "other"
    other.mkdir()
    for file in (home / "tiny").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "tokenizer.json").write_text(json.dumps(content))
    ended = run_program(
        "verify", str(bundle), "--checkpoint", "other", "--only", "prompts", home=home, cwd=home
    )
    assert ended.code == 9
    assert "✗ tokens" in ended.out


def test_without_a_checkpoint_the_rest_is_checked(home: Path) -> None:
    copy = home / "copy.litertlm"
    copy.write_bytes(bundle_of(home).read_bytes())
    ended = run_program("verify", str(copy), "--only", "structure", "--only", "prompts",
                        home=home, cwd=home)  # fmt: skip
    assert ended.code == 0
    assert "✓ structure" in ended.out
    assert "- prompts" in ended.out
    ended = run_program("verify", str(copy), "--repair", home=home, cwd=home)
    assert ended.code == 3
    assert "--checkpoint" in ended.err


def test_convert_verifies_on_request(home: Path) -> None:
    ended = run_program(
        "convert", "tiny", "--force", "--verify", "--quantize", "none", home=home, cwd=home
    )
    assert ended.code == 0, ended.err
    assert "✓ quality" in ended.out
