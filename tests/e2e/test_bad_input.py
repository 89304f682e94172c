"""Bad checkpoints and bundles: the right exit code, the file named, no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litertlm.bundle_format.protobuf import bytes_field, varint
from program import run_program
from tiny import MODELS, write_checkpoint

WEIGHTS = "model.safetensors"


def header_of(data: bytes) -> tuple[dict[str, dict[str, object]], bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(folder: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    header, rest = header_of((folder / WEIGHTS).read_bytes())
    change(header)
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + rest)


def first_tensor(header: dict[str, dict[str, object]]) -> dict[str, object]:
    return next(value for key, value in header.items() if key != "__metadata__")


def truncate(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def header_length(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes((1 << 40).to_bytes(8, "little") + data[8:])


def offsets_beyond(folder: Path) -> None:
    with_header(folder, lambda h: first_tensor(h).update(data_offsets=[0, 1 << 40]))


def overlapping(folder: Path) -> None:
    def change(header: dict[str, dict[str, object]]) -> None:
        a, b = [value for key, value in header.items() if key != "__metadata__"][:2]
        b["data_offsets"] = a["data_offsets"]

    with_header(folder, change)


def wrong_dtype(folder: Path) -> None:
    with_header(folder, lambda h: first_tensor(h).update(dtype="F99"))


def huge_json(folder: Path) -> None:
    text = b'{"a": "' + b"x" * 100_000_000 + b'"}'
    (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text)


def config_is_not_json(folder: Path) -> None:
    (folder / "config.json").write_text("{'model_type': ")


def no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        header_length,
        offsets_beyond,
        overlapping,
        wrong_dtype,
        huge_json,
        config_is_not_json,
        no_weights,
    ],
)
def test_damaged_checkpoints(harm: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(MODELS["llama-gqa-tied"], folder)
    harm(folder)
    ended = run_program("convert", folder, home=tmp_path)
    assert ended.code in {3, 7, 8}, ended.err
    assert ended.out == ""
    told = ended.err[ended.err.index("✗ ") :]
    assert WEIGHTS in told or "config.json" in told or "safetensors" in told
    assert "Traceback" not in ended.err
    assert not list(tmp_path.glob("models/*/*/*"))


def test_an_unknown_architecture_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(MODELS["llama-gqa-tied"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "rwkv9"}))
    ended = run_program("run", folder, home=tmp_path)
    assert ended.code == 7
    assert "rwkv9" in ended.err


def test_a_kv_cache_longer_than_the_model_allows(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(MODELS["llama-gqa-tied"], folder)
    ended = run_program("convert", folder, "--kv-cache-max-len", "100000000", home=tmp_path)
    assert ended.code == 2
    assert "--kv-cache-max-len 100000000" in ended.err


@pytest.mark.parametrize("data", [b"", b"LITERTL", b"LITERTLM", b"x" * 100_000])
def test_damaged_bundles(data: bytes, tmp_path: Path) -> None:
    bundle = tmp_path / "damaged.litertlm"
    bundle.write_bytes(data)
    ended = run_program("run", bundle, "--prompt", "Hello", home=tmp_path)
    assert ended.code == 10, ended.err
    assert "damaged.litertlm" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGUF" + b"\xff" * 100, b"not a checkpoint"])
def test_damaged_gguf_files(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    ended = run_program("convert", path, home=tmp_path)
    assert ended.code in {7, 8}, ended.err
    assert "damaged.gguf" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("harm", ["cut off", "empty piece", "unknown", "no json"])
def test_damaged_tokenizers_that_only_the_runtime_reads(harm: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(MODELS["llama-gqa-tied"], folder)
    if harm == "no json":
        (folder / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {"a": 0}}}')
    else:
        (folder / "tokenizer.json").unlink()
        pieces = [varint(1 << 3 | 2) + varint(len(text)) + text for text in (b"a", b"b", b"c")]
        model = b"".join(bytes_field(1, piece) for piece in pieces)
        if harm == "cut off":
            model += bytes_field(2, b"\x08")
        elif harm == "empty piece":
            model += bytes_field(1, b"\x0a\x00")
        (folder / "tokenizer.model").write_bytes(model)
    ended = run_program("convert", folder, home=tmp_path)
    assert ended.code == 8, ended.err
    assert "tokenizer" in ended.err[ended.err.index("✗ ") :]
    assert "report" not in ended.err
    assert not list(tmp_path.glob("models/*/*/*"))


HALF = "\ud800"  # of a surrogate pair, as JSON may have it


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("model.safetensors.index.json", {"weight_map": {"x": f"{HALF}.safetensors"}}),
        ("tokenizer_config.json", {"bos_token": HALF}),
        ("tokenizer_config.json", {"eos_token": {"content": HALF}}),
        ("tokenizer_config.json", {"extra_special_tokens": {"x": HALF}}),
    ],
)
def test_names_and_tokens_that_are_not_utf8(
    name: str, changes: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    write_checkpoint(MODELS["llama-llama3-f16-sharded"], folder)
    values = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**values, **changes}))
    ended = run_program("convert", folder, home=tmp_path)
    assert ended.code == 8, ended.err
    assert name in ended.err
