"""What `verify` calls right and wrong, without an engine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from litertlm.bundle import container, metadata
from litertlm.bundle.prompt_config import PromptConfig, read_prompt_config
from litertlm.bundle.rewrite import rewrite
from litertlm.bundle.template_adapter import adapt
from litertlm.bundle.tokenizer_section import read_tokenizer
from litertlm.bundle_format.constants import (
    EXECUTOR_METADATA,
    LLM_METADATA,
    SENTENCEPIECE,
    TFLITE_MODEL,
)
from litertlm.bundle_format.header import PlacedSection, read_header, read_section
from litertlm.bundle_format.info import read_bundle_info
from litertlm.checkpoint import open_checkpoint
from litertlm.errors import LiteRtLmError, NotEnoughResources, QualityCheckFailed, TemplateLimit
from litertlm.services.chat.render import TemplateRender
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.verify import behaviour
from litertlm.services.verify.behaviour import ProbeAnswer, fault_of, judge_answers
from litertlm.services.verify.quality import distance, reference_logits
from litertlm.services.verify.report import Verdict
from litertlm.services.verify.runtime_comparison import check_stored_prompts
from litertlm.services.verify.structure import check_structure
from litertlm.store.files import file_sha256
from recorder import Recorder
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS

OPTIONS = ConvertOptions(recipe="none", kv_cache_max_len=64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny checkpoint and its bundle, both to be read only."""
    folder = tmp_path_factory.mktemp("verify")
    checkpoint = write_checkpoint(MODELS["qwen3-gqa-tied"], folder / "checkpoint")
    bundle = folder / "tiny.litertlm"
    convert(checkpoint, bundle, OPTIONS, progress=Recorder())
    return checkpoint, bundle


def test_a_fresh_bundle_is_whole_and_says_what_its_checkpoint_says(made: tuple[Path, Path]) -> None:
    source, bundle = made
    checkpoint = open_checkpoint(source)
    size, sha256 = bundle.stat().st_size, file_sha256(bundle)
    structure = check_structure(bundle, sha256=sha256, size_bytes=size)
    assert structure.verdict is Verdict.PASSED, structure.problems
    assert structure.values["sha256_compared"] is True
    info = read_bundle_info(bundle)
    assert check_stored_prompts(info, read_prompt_config(checkpoint, adapt)) == []


def test_a_conversion_that_went_wrong_is_kept_aside(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = made
    right = metadata.llm_metadata
    target = tmp_path / "new.litertlm"

    def wrong(prompts: PromptConfig, *, max_num_tokens: int) -> bytes:
        other = dataclasses.replace(prompts, stop_token_ids=(7,))
        return right(other, max_num_tokens=max_num_tokens)

    monkeypatch.setattr(metadata, "llm_metadata", wrong)
    with pytest.raises(QualityCheckFailed) as failure:
        convert(source, target, OPTIONS, progress=Recorder())
    assert "stop tokens should be (2, 4), but the bundle has (7,)" in failure.value.why
    assert [path.name for path in tmp_path.iterdir()] == ["new.litertlm.rejected"]
    assert "new.litertlm.rejected" in failure.value.hint


def changed(bundle: Path, target: Path, at: int, data: bytes) -> Path:
    content = bytearray(bundle.read_bytes())
    content[at : at + len(data)] = data
    target.write_bytes(content)
    return target


def test_a_changed_weight_is_noticed_by_its_hash(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, bundle = made
    other = changed(bundle, tmp_path / "x.litertlm", bundle.stat().st_size - 100, b"\x7f" * 8)
    found = check_structure(other, sha256=file_sha256(bundle), size_bytes=bundle.stat().st_size)
    assert found.verdict is Verdict.FAILED
    assert "SHA-256" in found.problems[0]


@pytest.mark.parametrize("keep", [10, 40, 20_000, 60_000])
def test_a_truncated_bundle_fails(made: tuple[Path, Path], tmp_path: Path, keep: int) -> None:
    _, bundle = made
    cut = tmp_path / "cut.litertlm"
    cut.write_bytes(bundle.read_bytes()[:keep])
    found = check_structure(cut, sha256=None, size_bytes=None)
    assert found.verdict is Verdict.FAILED
    assert found.problems


def test_a_damaged_model_fails(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, bundle = made
    section = read_header(bundle).first(TFLITE_MODEL)
    assert section is not None
    for at, data in ((4, b"NOPE"), (0, b"\xff\xff\xff\x7f")):
        other = changed(bundle, tmp_path / "x.litertlm", section.begin + at, data)
        found = check_structure(other, sha256=None, size_bytes=None)
        assert found.verdict is Verdict.FAILED, at


def test_overlapping_sections_fail(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, bundle = made
    header = read_header(bundle)
    first, *rest = header.sections
    moved = [PlacedSection(s.kind, first.begin, s.end, s.items) for s in rest]
    head = container.encode_header([first, *moved], {k: str(v) for k, v in header.system.items()})
    other = changed(bundle, tmp_path / "x.litertlm", 0, head)
    found = check_structure(other, sha256=None, size_bytes=None)
    assert any("overlaps" in problem for problem in found.problems)


def test_other_prompts_are_named_one_by_one(made: tuple[Path, Path], tmp_path: Path) -> None:
    source, bundle = made
    config = source / "generation_config.json"
    other = tmp_path / "checkpoint"
    other.mkdir()
    for file in source.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    wanted = {**json.loads(config.read_text()), "eos_token_id": [2, 4, 7]}
    sampling = {"do_sample": True, "top_k": 33, "top_p": 0.95, "temperature": 0.6}
    (other / "generation_config.json").write_text(json.dumps({**wanted, **sampling}))
    problems = check_stored_prompts(
        read_bundle_info(bundle), read_prompt_config(open_checkpoint(other), adapt)
    )
    assert len(problems) == 2
    assert "stop tokens should be (2, 4, 7)" in problems[0]
    assert "top_k should be 33" in problems[1]


def test_a_rewritten_bundle_keeps_its_model(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, bundle = made
    header = read_header(bundle)
    target = tmp_path / "new.litertlm"
    rewrite(bundle, target, {SENTENCEPIECE: b"x" * 70_000}, {"a": "b" * 30_000})
    new = read_header(target)
    assert new.system == {"a": "b" * 30_000}
    assert read_tokenizer(target, new) == ("sentencepiece", b"x" * 70_000)
    for kind in (TFLITE_MODEL, LLM_METADATA, EXECUTOR_METADATA):
        old_section, new_section = header.first(kind), new.first(kind)
        assert old_section is not None
        assert new_section is not None
        assert read_section(bundle, old_section) == read_section(target, new_section)
    assert check_structure(target, sha256=None, size_bytes=None).verdict is Verdict.PASSED


def test_distance_of_equal_and_of_other_logits() -> None:
    random = np.random.RandomState(0)
    logits = random.normal(size=(5, 11)).astype(np.float32)
    ids = [1, 2, 3, 4, 5]
    same = distance(logits, logits, ids)
    assert (same.kl, same.mean_abs, same.top1, same.tokens) == (0.0, 0.0, 1.0, 4)
    other = distance(logits, logits[:, ::-1], ids)
    assert other.kl > 0.1
    assert other.top1 < 1.0
    # Adding a constant to logits changes no probability.
    assert distance(logits, logits + 3, ids).kl == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_reference_logits_are_finite_and_of_every_token(name: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(write_checkpoint(MODELS[name], tmp_path))
    logits = reference_logits(checkpoint, list(range(5, 30)))
    assert logits.shape == (25, MODELS[name].text_config["vocab_size"])
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("text", "stopped", "fault"),
    [
        ("Paris.", True, None),
        ("", True, "is empty"),
        ("  \n", None, "is empty"),
        ("joploploploploploploplop", None, "repeats itself: 'joploploploploploploplop'"),
        ("one two three four five six", None, None),
        ("the cat sat on the mat and " * 6, False, "repeats itself"),
        ("no no no no no no", True, "repeats itself"),
        ("one two three four five six", False, "did not end"),
        ("Red is warm, blue is cold, and green is the colour of grass.", True, None),
    ],
)
def test_faults_of_answers(text: str, stopped: bool | None, fault: str | None) -> None:
    tokens = [text[at : at + 3] for at in range(0, len(text), 3)]
    found = fault_of(ProbeAnswer("?", tokens, stopped))
    assert found == fault if fault is None else fault in (found or "")


def test_behaviour_only_warns() -> None:
    check = judge_answers([ProbeAnswer("a", [], True), ProbeAnswer("b", ["", " "], None)])
    assert check.verdict is Verdict.WARNED
    assert len(check.problems) == 2


@pytest.mark.parametrize("error", [TemplateLimit, NotEnoughResources])
def test_a_template_that_cannot_be_rendered_does_not_fail_a_finished_conversion(
    error: type[LiteRtLmError], made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(*arguments: object, **more: object) -> str:
        raise error("It cannot be rendered.", why="For a reason.")

    monkeypatch.setattr(behaviour, "template_render", lambda info: TemplateRender(render))
    check = behaviour.check_behaviour_briefly(made[1], None)
    assert check.verdict is Verdict.NOT_CHECKED
    assert "For a reason." in check.summary
