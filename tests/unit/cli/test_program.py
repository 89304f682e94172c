"""Exit code, stdout and stderr of the real program."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from litertlm.bundle import container, metadata
from litertlm.bundle.prompt_config import read_prompt_config, system_items
from litertlm.bundle.template_adapter import adapt
from litertlm.bundle_format.constants import LLM_METADATA, TFLITE_MODEL
from litertlm.checkpoint import Checkpoint, Tokenizer
from program import PROGRAM, isolated_environment, run_program

HEAVY = {
    "google.protobuf",
    "gguf",
    "huggingface_hub",
    "litert_lm",
    "litert_lm_builder",
    "minijinja",
    "numpy",
    "platformdirs",
    "prompt_toolkit",
    "rich",
    "tokenizers",
}


def install(models: Path, name: str, size: int = 1000, **provenance: object) -> Path:
    """Create a model on disk, as a conversion does."""
    folder = models / name
    folder.mkdir(parents=True)
    bundle = folder / f"{folder.name}.litertlm"
    bundle.write_bytes(b"LITERTLM".ljust(size, b"\0"))
    fields = {
        "model": name,
        "source": "hub",
        "origin": name,
        "sha256": "ab" * 32,
        "size_bytes": size,
        "created": "2026-01-02T03:04:05+00:00",
        "recipe": "dynamic_int8",
        **provenance,
    }
    bundle.with_suffix(".json").write_text(json.dumps(fields))
    return bundle


def write_bundle(path: Path, size: int) -> None:
    """A bundle of `size` bytes with real metadata, and a model of zeros."""
    tokens = {"added_tokens": [{"id": 106, "content": "<end_of_turn>"}]}
    tokenizer = Tokenizer(json.dumps(tokens).encode(), None, {}, None, True, 2, 1)
    config = {"model_type": "gemma3_text", "eos_token_id": [1, 106]}
    prompts = read_prompt_config(Checkpoint(path, "safetensors", config, {}, {}, tokenizer), adapt)
    data = metadata.llm_metadata(prompts, max_num_tokens=1280)
    system = system_items(prompts)
    sections = [
        container.Section(LLM_METADATA, len(data)),
        container.Section(TFLITE_MODEL, 16),
    ]
    placed = container.place(sections, system)
    with path.open("r+b") as file:
        file.truncate(size)
        file.write(container.encode_header(placed, system))
        file.seek(placed[0].begin)
        file.write(data)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["models"], ["run", "--help"], ["publish", "--help"], ["prune"]],
)
def test_imports_no_heavy_module(arguments: list[str], tmp_path: Path) -> None:
    install(tmp_path / "models", "google/gemma-3-270m")
    program = (
        "import sys; from litertlm.cli.main import main; code = main(sys.argv[1:]);"
        "print('\\n'.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [PROGRAM[0], "-c", program, *arguments],
        env=isolated_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.split())
    assert "litertlm.cli.main" in imported
    assert imported & HEAVY == set()


def test_every_command_has_help_and_the_overview_says_the_same(tmp_path: Path) -> None:
    from litertlm.cli.main import COMMANDS, cli

    overview = run_program("--help", home=tmp_path)
    assert overview.code == 0
    assert overview.err == ""
    for name, line in COMMANDS.items():
        assert name in overview.out
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.help
        assert line.endswith(".")


@pytest.mark.parametrize("group", [[], ["config"]])
def test_a_group_without_a_command_prints_its_help(group: list[str], tmp_path: Path) -> None:
    bare = run_program(*group, home=tmp_path)
    assert bare == run_program(*group, "--help", home=tmp_path)
    assert (bare.code, bare.err) == (0, "")
    assert bare.out.startswith("Usage: litert-lm-cli ")


def test_help_of_convert_shows_parameters_and_defaults(tmp_path: Path) -> None:
    text = " ".join(run_program("convert", "--help", home=tmp_path).out.split())
    for words in (
        "--quantize",
        "default: dynamic_int8",
        "default: 1280",
        "default: dynamic]",
        "default: 8,64,128,256,512,1024",
        "--output-dir",
        "--force",
    ):
        assert words in text


def test_version(tmp_path: Path) -> None:
    ended = run_program("--version", home=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, "litert-lm-cli 0.1.0\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "✗ No such command 'lst'. Did you mean 'list'?"),
        (["models", "--jso"], "✗ No such option '--jso'. Did you mean '--json'?"),
        (["show"], "✗ Missing argument 'MODEL'."),
        (["convert", "demo", "--kv-cache-max-len", "0"], "'--kv-cache-max-len'"),
        (["convert", "demo", "--quantize", "int3"], "'int3' is not"),
        (["convert", "demo", "--prefill-seq-len", "64,8"], "ascending order"),
        (["convert", "demo", "--prefill-seq-len", "8,8"], "duplicate length"),
        (["convert", "demo", "--prefill-seq-len", "0,8"], "at least 1"),
        (["convert", "demo", "--prefill-seq-len", "a"], "list of integers"),
        (["convert", "demo", "--prefill-seq-len", "2048"], "does not fit a KV cache of 1280"),
        (
            ["convert", "demo", "--prefill-seq-len", "8", "--shapes", "dynamic"],
            "requires --shapes static",
        ),
        (["run", "a/b/c"], "Not a model name: 'a/b/c'"),
        (["run", ""], "Not a model name: ''"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, tmp_path: Path) -> None:
    ended = run_program(*arguments, home=tmp_path)
    assert message in ended.err
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_a_path_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (("./empty", "No model in"), ("../none", "No such file or folder")):
        ended = run_program("run", path, home=tmp_path)
        assert ended.code == 3
        assert message in ended.err


def test_unknown_models_suggest_similar_names(tmp_path: Path) -> None:
    ended = run_program("show", "Qwen3-06b", home=tmp_path)
    assert ended.code == 3
    assert ended.err.startswith("✗ Model not found: Qwen3-06b.\n\nDid you mean qwen3-0.6b")


def test_errors_are_json_when_asked(tmp_path: Path) -> None:
    for arguments, kind, code in (
        (["show", "nothing", "--json"], "ModelNotFound", 3),
        (["--json", "show"], "UsageError", 2),
    ):
        ended = run_program(*arguments, home=tmp_path)
        error = json.loads(ended.err)["error"]
        assert (error["type"], error["exit_code"], ended.code) == (kind, code, code)
        assert ended.out == ""


def test_list_and_show(tmp_path: Path) -> None:
    bundle = install(tmp_path / "models", "google/gemma-3-270m", size=2_500_000, commit="c0ffee")
    (bundle.parent / "cache").mkdir()
    (bundle.parent / "cache" / "x.xnnpack_cache").write_bytes(b"x" * 1_000_000)
    (bundle.parent / "checkpoint").mkdir()
    (bundle.parent / "checkpoint" / "model.safetensors").write_bytes(b"x" * 500_000)
    listed = run_program("list", home=tmp_path)
    assert listed.code == 0
    assert listed.err == ""
    assert listed.out == (
        "MODEL                  SIZE  ON DISK  RECIPE        CREATED\n"
        "google/gemma-3-270m  2.5 MB   4.0 MB  dynamic_int8  2026-01-02\n"
    )
    (fields,) = json.loads(run_program("list", "--json", home=tmp_path).out)
    write_bundle(bundle, 2_500_000)
    shown = json.loads(run_program("show", "Gemma-3-270m", "--json", home=tmp_path).out)
    assert fields.pop("used") <= shown["used"], "the bundle was written again"
    assert {name: shown[name] for name in fields} == fields
    assert shown["stop_tokens"] == [1, 106]
    assert shown["start_tokens"] == [2]
    assert (shown["model_type"], shown["template"]) == ("gemma3", "none")
    assert shown["licence"] == "Gemma"
    assert fields["model"] == "google/gemma-3-270m"
    assert fields["path"] == str(bundle)
    assert fields["size_bytes"] == 2_500_000
    assert fields["cache_bytes"] == 1_000_000
    assert fields["checkpoint_bytes"] == 500_000
    assert fields["total_bytes"] == 4_000_000
    assert (fields["recipe"], fields["commit"]) == ("dynamic_int8", "c0ffee")
    text = run_program("show", "gemma-3-270m", home=tmp_path).out
    assert "commit      c0ffee\n" in text
    assert "stop tokens 1, 106\n" in text
    assert "BOS         2\n" in text
    assert "sampler     temperature 1, top-k 64, top-p 0.95 (family)\n" in text
    template = run_program("show", "gemma-3-270m", "--template", home=tmp_path).out
    assert "message.content" in template


def test_show_of_a_damaged_bundle(tmp_path: Path) -> None:
    install(tmp_path / "models", "google/gemma-3-270m")
    ended = run_program("show", "gemma-3-270m", home=tmp_path)
    assert ended.code == 10
    assert "is damaged" in ended.err
    assert "Its header ends at byte 0" in ended.err


def test_list_of_nothing(tmp_path: Path) -> None:
    ended = run_program("list", home=tmp_path)
    assert (ended.code, ended.out) == (0, "")
    assert "Try: litert-lm-cli run demo" in ended.err
    assert run_program("list", "--json", home=tmp_path).out == "[]\n"


def test_rm_removes_all_files_of_a_model(tmp_path: Path) -> None:
    models = tmp_path / "models"
    install(models, "Qwen/Qwen3-0.6B")
    kept = install(models, "Qwen/Qwen3-4B")
    removed = run_program("rm", "qwen3-0.6b", home=tmp_path)
    assert removed.code == 0
    assert removed.err.startswith("✓ Removed Qwen/Qwen3-0.6B (1.")
    assert not (models / "Qwen" / "Qwen3-0.6B").exists()
    assert kept.exists()
    assert run_program("rm", "qwen3-0.6b", home=tmp_path).code == 3


def test_prune_removes_unfinished_files_and_optionally_caches(tmp_path: Path) -> None:
    bundle = install(tmp_path / "models", "org/name")
    unfinished = bundle.with_name(".name.litertlm.123.tmp")
    unfinished.write_bytes(b"x" * 2000)
    cache = bundle.parent / "cache"
    cache.mkdir()
    (cache / "weights").write_bytes(b"x")
    dry = run_program("prune", "--dry-run", "--caches", "--json", home=tmp_path)
    assert [entry["reason"] for entry in json.loads(dry.out)] == ["unfinished", "cache"]
    assert unfinished.exists()
    assert "✓ Freed 2.0 kB" in run_program("prune", home=tmp_path).err
    assert not unfinished.exists()
    assert cache.exists()
    run_program("prune", "--caches", home=tmp_path)
    assert not cache.exists()
    assert bundle.exists()


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    bundle = install(tmp_path / "models", "Qwen/Qwen3-0.6B")
    bundle.write_bytes(bundle.read_bytes()[:500])
    ended = run_program("run", "qwen3-0.6b", home=tmp_path)
    assert ended.code == 10
    assert ended.err.startswith(f"✗ Damaged bundle: {bundle}.\n\nIt has 500 bytes")
    stray = tmp_path / "stray.litertlm"
    stray.write_bytes(b"not a bundle")
    assert run_program("run", stray, home=tmp_path).code == 10


def test_a_model_on_disk_is_used_and_named(tmp_path: Path) -> None:
    install(tmp_path / "models", "google/gemma-3-270m")
    ended = run_program("pull", "google/gemma-3-270m", home=tmp_path)
    assert ended.code == 0
    assert ended.out == ""
    assert ended.err == (
        "✓ Model already exists at models/google/gemma-3-270m/gemma-3-270m.litertlm\n"
    )
    assert run_program("pull", "gemma-3-270m", "--quiet", home=tmp_path).err == ""


def test_models_lists_the_catalog(tmp_path: Path) -> None:
    install(tmp_path / "models", "Qwen/Qwen3-0.6B")
    entries = {
        e["alias"]: e for e in json.loads(run_program("models", "--json", home=tmp_path).out)
    }
    assert entries["qwen3-0.6b"]["on_disk"]
    assert not entries["demo"]["on_disk"]
    assert entries["gemma-3-270m"]["gated"]
    assert "demo" in run_program("models", home=tmp_path).out


@pytest.mark.parametrize("place", ["a file", "/proc/models"])
def test_an_unwritable_models_folder(place: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    ended = run_program("convert", "./checkpoint", "--output-dir", place, home=tmp_path)
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_a_closed_stdout_is_not_an_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*PROGRAM, "models"],
            env=isolated_environment(tmp_path),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("closed", "shown"), [("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)]
)
def test_a_stream_that_is_closed_at_the_start(tmp_path: Path, closed: str, shown: bool) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *PROGRAM, "models"],
        env=isolated_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("qwen3-0.6b" in done.stdout) is shown
