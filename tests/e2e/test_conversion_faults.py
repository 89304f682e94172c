"""Conversions that are interrupted, killed, doubled or have nowhere to write."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from program import PROGRAM, isolated_environment, run_program
from stopping import Moment, Stop
from tiny import MODELS, write_checkpoint
from tiny.gguf_file import write_gguf

BUNDLE = "models/local/SmolLM2-135M-Instruct.Q4_1/SmolLM2-135M-Instruct.Q4_1.litertlm"
TINY_BUNDLE = "models/local/tiny/tiny.litertlm"
TEMPORARY = ".*.litertlm.*.tmp"
# Moments of a conversion at which the bundle does not have its name yet, and those after.
BEFORE_THE_RENAME = (
    Moment("open", TEMPORARY),
    Moment("pwrite", TEMPORARY),
    Moment("pwrite", TEMPORARY, skip=20),
    Moment("rename", ".tiny.json.new"),
    Moment("rename", "tiny.litertlm"),
)
AFTER_THE_RENAME = (
    Moment("open", ".tiny.json.*.tmp"),
    Moment("rename", "tiny.json"),
    Moment("remove", ".tiny.json.new"),
)


def start(*arguments: str | Path, home: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=isolated_environment(home, **environment),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_listening(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Until the program handles a signal, which before that ends it as it ends any other."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.MULTILINE)
        if caught and int(caught[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.002)


def names(home: Path) -> set[str]:
    """Everything in the models folder but the lock files."""
    files = {str(p.relative_to(home)) for p in (home / "models").rglob("*")}
    return {name for name in files if ".locks" not in name}


@pytest.fixture
def sha256(demo_bundle: Path) -> str:
    """Of the bundle that an undisturbed conversion makes."""
    return hashlib.sha256(demo_bundle.read_bytes()).hexdigest()


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    """A small GGUF file, which is converted in a quarter of the demo model's time."""
    return write_gguf(replace(MODELS["llama-gqa-tied"], dtype="F32"), tmp_path / "tiny.gguf")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_conversion_leaves_nothing(
    number: signal.Signals, demo_gguf: Path, tmp_path: Path
) -> None:
    stop = Stop(Moment("pwrite", TEMPORARY, skip=20), tmp_path)
    process = start("convert", demo_gguf, home=tmp_path, **stop.environment)
    stop.wait(process)
    (temporary,) = [name for name in names(tmp_path) if name.endswith(".tmp")]
    assert (tmp_path / temporary).stat().st_size > 0
    stop.interrupt(process, number)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("✗ Interrupted.\n")
    assert "Traceback" not in err
    assert names(tmp_path) == set()


def test_a_signal_right_after_the_start(tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    process = start("convert", "tiny", home=tmp_path)
    wait_until_listening(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not list((tmp_path / "models").rglob("*.litertlm"))


@pytest.mark.parametrize("moment", [*BEFORE_THE_RENAME, *AFTER_THE_RENAME], ids=str)
def test_a_signal_at_any_moment_leaves_a_bundle_with_its_record_or_none(
    moment: Moment, tmp_path: Path
) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    stop = Stop(moment, tmp_path)
    process = start("convert", "tiny", "--no-check", home=tmp_path, **stop.environment)
    stop.wait(process)
    stop.interrupt(process, signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    left = list((tmp_path / "models/local").rglob("*"))
    assert not [path for path in left if path.name.endswith(".tmp")]
    assert (tmp_path / TINY_BUNDLE).exists() == (moment in AFTER_THE_RENAME)
    assert_recorded(tmp_path, int(moment in AFTER_THE_RENAME))


def test_a_killed_conversion_is_made_good_by_the_next(
    demo_gguf: Path, tmp_path: Path, sha256: str
) -> None:
    for skip in (0, 7, 40):
        stop = Stop(Moment("pwrite", TEMPORARY, skip), tmp_path)
        process = start("convert", demo_gguf, "--no-check", home=tmp_path, **stop.environment)
        stop.wait(process)
        stop.kill(process)
        # Each kill leaves its temporary file; the conversion after it removed the one before.
        (left,) = [name for name in names(tmp_path) if name.endswith(".tmp")]
        assert str(process.pid) in left
        assert not (tmp_path / BUNDLE).exists()
    ended = run_program("convert", demo_gguf, "--no-check", "--json", home=tmp_path)
    assert ended.code == 0
    fields = json.loads(ended.out)
    assert (fields["sha256"], fields["path"]) == (sha256, str(tmp_path / BUNDLE))
    folder = str(Path(BUNDLE).parent)
    expected = {"models/local", folder, BUNDLE, BUNDLE.replace(".litertlm", ".json")}
    assert names(tmp_path) == expected


@pytest.mark.parametrize("moment", [*BEFORE_THE_RENAME, *AFTER_THE_RENAME], ids=str)
def test_a_bundle_has_its_record_whenever_a_kill_came(moment: Moment, tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    convert = ("convert", "tiny", "--force", "--no-check")
    assert run_program(*convert, home=tmp_path).code == 0
    before = hashlib.sha256((tmp_path / TINY_BUNDLE).read_bytes()).hexdigest()
    stop = Stop(moment, tmp_path)
    process = start(*convert, "--quantize", "int8", home=tmp_path, **stop.environment)
    stop.wait(process)
    stop.kill(process)
    assert (assert_recorded(tmp_path, 1) == before) == (moment in BEFORE_THE_RENAME)
    assert run_program(*convert, home=tmp_path).code == 0
    assert assert_recorded(tmp_path, 1) == before
    assert not list((tmp_path / TINY_BUNDLE).parent.glob(".*"))


def assert_recorded(home: Path, count: int) -> str:
    """So many models are listed, each with its file's SHA-256; the last one of these."""
    models = json.loads(run_program("list", "--json", home=home).out)
    assert len(models) == count
    digest = ""
    for model in models:
        digest = hashlib.sha256(Path(model["path"]).read_bytes()).hexdigest()
        assert model["sha256"] == digest
    return digest


def test_two_conversions_of_one_model_at_once(demo_gguf: Path, tmp_path: Path, sha256: str) -> None:
    both = [start("convert", demo_gguf, "--json", home=tmp_path) for _ in range(2)]
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [json.loads(out)["sha256"] for out, _ in ended] == [sha256, sha256]
    converted = [err for _, err in ended if "✓ Model successfully converted!" in err]
    waited = [err for _, err in ended if f"✓ Model already exists at {BUNDLE}" in err]
    assert len(converted) == len(waited) == 1
    assert "Waiting for another process" in waited[0]


def test_a_changed_checkpoint_is_converted_again_and_a_namesake_gets_its_own_name(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "model.gguf").hardlink_to(tiny_gguf)
    first = json.loads(
        run_program("convert", "a/model.gguf", "--no-check", "--json", home=tmp_path).out
    )
    assert first["model"] == "local/model"
    again = run_program("convert", "a/model.gguf", "--no-check", home=tmp_path)
    assert "✓ Model already exists at models/local/model/model.litertlm" in again.err
    other = json.loads(
        run_program("convert", "b/model.gguf", "--no-check", "--json", home=tmp_path).out
    )
    assert other["model"].startswith("local/model-")
    (tmp_path / "a" / "model.gguf").unlink()
    (tmp_path / "a" / "model.gguf").write_bytes(tiny_gguf.read_bytes())
    changed = run_program("convert", "a/model.gguf", "--no-check", home=tmp_path)
    assert "Model successfully converted!" in changed.err


def test_output_dir_and_force(tiny_gguf: Path, tmp_path: Path) -> None:
    arguments = ["convert", tiny_gguf, "--output-dir", "out", "--no-check"]
    made = run_program(*arguments, home=tmp_path)
    assert made.code == 0
    assert made.out == ""
    path = "out/local/tiny/tiny.litertlm"
    assert (tmp_path / path).exists()
    lines = made.err.splitlines()
    assert lines[1:5] == [
        f"Converting {tiny_gguf.name}...",
        "Model size: 1m",
        "Quantization: dynamic_int8",
        "✓ Model successfully converted!",
    ]
    size = (tmp_path / path).stat().st_size / 1e6
    assert lines[5].startswith(f"{path} ({size:.1f} MB, ")
    assert run_program(*arguments, home=tmp_path).err == f"✓ Model already exists at {path}\n"
    other = run_program(*arguments, "--shapes", "static", home=tmp_path)
    assert "! It was converted with other options" in other.err
    forced = run_program(*arguments, "--shapes", "static", "--force", "--json", home=tmp_path)
    assert json.loads(forced.out)["options"] == {
        "kv_cache_max_len": 1280,
        "shapes": "static",
        "prefill_seq_len": [8, 64, 128, 256, 512, 1024],
    }


def test_a_failed_reconversion_leaves_the_old_bundle_and_its_record(tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    made = run_program("convert", "tiny", "--json", home=tmp_path)
    assert made.code == 0, made.err
    failed = run_program("convert", "tiny", "--force", "--kv-cache-max-len", "9999", home=tmp_path)
    assert failed.code == 2
    shown = json.loads(run_program("list", "--json", home=tmp_path).out)
    fields = json.loads(made.out)
    del fields["checks"]
    assert shown == [fields]
