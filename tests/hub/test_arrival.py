"""Checkpoints are converted while they are downloaded, to the same bundles."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from converted import write_bundle
from hub.conftest import World
from litertlm.checkpoint import gguf_file
from litertlm.checkpoint.gguf_header import HEAD_BYTES
from litertlm.errors import DamagedCheckpoint, NetworkError
from litertlm.hub import part as part_module
from litertlm.hub import window as window_module
from litertlm.services.acquire import AcquireRequest, acquire
from litertlm.services.acquire import heads as heads_module
from litertlm.services.convert import ConvertOptions
from litertlm.settings import Settings
from litertlm.store import Store
from recorder import Recorder
from stopping import wait_until
from tiny import MODELS, write_checkpoint
from tiny.checkpoint import change_config
from tiny.gguf_file import write_gguf
from tiny.other_head import write_with_head
from tiny.quantized import FORMS, write_quantized

MODEL = "org/tiny"
BLOCK = 10_000
HEAD = 8_000  # bytes that are asked for first


@pytest.fixture
def small_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Downloads of this process, in many blocks for each of the tiny files."""
    monkeypatch.setattr(part_module, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(heads_module, "FIRST_BYTES", HEAD)
    monkeypatch.setattr(constants, "ENDPOINT", world.hub.url)
    monkeypatch.setenv("no_proxy", "*")
    return world


def pull(
    world: World, options: ConvertOptions | None = None, *, keep: bool = True
) -> tuple[bytes, Recorder]:
    """The bundle that this process makes, and what it reported."""
    progress = Recorder()
    settings = Settings(world.models, world.cwd, {"HF_ENDPOINT": world.hub.url})
    request = AcquireRequest(MODEL, options=options or ConvertOptions(), keep_checkpoint=keep)
    made = acquire(request, store=Store(world.models), settings=settings, progress=progress)
    assert not (world.folder(MODEL) / "checkpoint" / ".download").exists()
    assert (world.folder(MODEL) / "checkpoint").exists() == keep
    assert made.provenance
    data = made.bundle.read_bytes()
    assert made.provenance.sha256 == hashlib.sha256(data).hexdigest()
    return data, progress


def plain(source: Path, folder: Path, options: ConvertOptions | None = None) -> bytes:
    """The bundle of a conversion from the disk."""
    return write_bundle(source, folder / "plain", options or ConvertOptions()).read_bytes()


def weight_ranges(world: World) -> list[tuple[int, int]]:
    """The ranges of files with weights that were asked for; an open end is 1 << 60."""
    ranges = [r.range or "bytes=0-" for r in world.hub.of("cdn")]
    ends = [text.removeprefix("bytes=").split("-") for text in ranges]
    return [(int(start), int(end or 1 << 60)) for start, end in ends]


def sharded(folder: Path) -> Path:
    return write_checkpoint(MODELS["llama-llama3-f16-sharded"], folder)


def fused_projections(folder: Path) -> Path:
    return write_checkpoint(MODELS["phi3-window-untied"], folder)


def equal_head(folder: Path) -> Path:
    return write_with_head("qwen3-gqa-tied", folder, equal=True)


def gptq(folder: Path) -> Path:
    """Weights whose parts are read together and lie apart."""
    source, _, _ = write_quantized(MODELS["llama-gqa-tied"], FORMS["gptq"], folder.parent / "made")
    return source.rename(folder)


def gguf(folder: Path) -> Path:
    folder.mkdir()
    model = replace(MODELS["llama-gqa-tied"], dtype="F32")
    return write_gguf(model, folder / "model-F32.gguf")


@pytest.mark.parametrize("write", [sharded, fused_projections, equal_head, gptq, gguf])
def test_the_bundle_is_that_of_a_plain_conversion(
    write: Callable[[Path], Path], small_blocks: World, tmp_path: Path
) -> None:
    (small_blocks.hub.folder / "org").mkdir()
    source = write(small_blocks.hub.folder / MODEL)
    data, progress = pull(small_blocks)
    assert data == plain(source, tmp_path)
    assert not any("again" in line for line in progress.lines)
    files = [p for p in (small_blocks.hub.folder / MODEL).iterdir() if p.is_file()]
    weights = sum(p.stat().st_size for p in files if p.suffix in (".safetensors", ".gguf"))
    assert len(small_blocks.hub.of("cdn")) > weights / BLOCK
    # The config, the index and the first bytes of a GGUF file are read before, too.
    twice = [p for p in files if p.name in ("config.json", "model.safetensors.index.json")]
    before = sum(p.stat().st_size for p in twice) + (HEAD_BYTES if write is gguf else 0)
    assert small_blocks.hub.bytes_sent == sum(p.stat().st_size for p in files) + before


@pytest.mark.parametrize("recipe", ["int8", "fp16", "none", "dynamic_int4"])
def test_every_recipe_gives_the_bytes_of_a_plain_conversion(
    recipe: str, small_blocks: World, tmp_path: Path
) -> None:
    source = sharded(small_blocks.hub.folder / MODEL)
    options = ConvertOptions(recipe=recipe)
    assert pull(small_blocks, options)[0] == plain(source, tmp_path, options)


@pytest.mark.parametrize(
    "fault",
    [
        {"truncated": {"after": HEAD + 500, "times": 20}},
        {"flaky": {"status": 503, "times": 3, "where": "cdn", "retry_after": 0}},
        {"flaky": {"status": 429, "times": 3, "where": "cdn", "retry_after": 0}},
        {"ranges": False},
    ],
    ids=["dropped", "503", "429", "no ranges"],
)
def test_faults_of_the_line_change_nothing(
    fault: dict[str, Any], small_blocks: World, tmp_path: Path
) -> None:
    source = sharded(small_blocks.hub.folder / MODEL)
    small_blocks.hub.configure(MODEL, **fault)
    assert pull(small_blocks)[0] == plain(source, tmp_path)


def test_damaged_bytes_are_fetched_again_and_converted_again(
    small_blocks: World, tmp_path: Path
) -> None:
    source = write_checkpoint(MODELS["llama-bias-untied-linear"], small_blocks.hub.folder / MODEL)
    damaged = {"file": "model.safetensors", "times": 1}
    small_blocks.hub.configure(MODEL, damaged=damaged)
    data, progress = pull(small_blocks)
    assert data == plain(source, tmp_path)
    assert any("Converting again, from verified files" in line for line in progress.lines)
    sizes = [p.stat().st_size for p in (source / "config.json", *source.iterdir())]
    assert small_blocks.hub.bytes_sent == sum(sizes) + (source / "model.safetensors").stat().st_size


def test_a_wrong_hash_leaves_no_bundle(small_blocks: World) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], small_blocks.hub.folder / MODEL)
    small_blocks.hub.configure(MODEL, hashes={"model.safetensors": "0" * 64})
    with pytest.raises(NetworkError, match=r"hash of model\.safetensors .* is wrong"):
        pull(small_blocks)
    assert small_blocks.bundles(MODEL) == []
    assert [p for p in small_blocks.folder(MODEL).iterdir() if p.is_file()] == []


def test_shapes_are_judged_before_the_weights_are_downloaded(small_blocks: World) -> None:
    source = sharded(small_blocks.hub.folder / MODEL)
    change_config(source, {"intermediate_size": 24})
    with pytest.raises(DamagedCheckpoint, match="does not fit its config"):
        pull(small_blocks)
    asked = weight_ranges(small_blocks)
    assert asked == [(0, HEAD - 1)] * len(list(source.glob("*.safetensors")))


def test_rows_are_converted_before_the_download_is_complete(world: World) -> None:
    """The real program: the rows that are there are in the bundle when the rest is held back."""
    source = write_checkpoint(MODELS["llama-bias-untied-linear"], world.hub.folder / MODEL)
    size = sum(p.stat().st_size for p in source.iterdir())
    world.hub.configure(MODEL, hold=size - 2_000)
    process = world.start("pull", MODEL)

    def written() -> int:
        parts = world.folder(MODEL).glob(".*.litertlm.*.tmp")
        return sum(sum(map(bool, p.read_bytes())) for p in parts)

    wait_until(lambda: written() > size / 8, process, "most rows were converted")
    assert list((world.folder(MODEL) / "checkpoint").glob("*.safetensors")) == []
    world.hub.configure(MODEL)
    _, err = process.communicate()
    assert process.returncode == 0, err
    (bundle,) = world.bundles(MODEL)
    assert bundle.read_bytes() == plain(source, world.home)


@pytest.fixture
def small_window(small_blocks: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A window of twelve blocks; nothing with weights may be written beside the bundle."""
    monkeypatch.setattr(window_module, "CAPACITY", 12 * BLOCK)
    monkeypatch.setattr(gguf_file, "_HEADER_BUFFER", 4096)
    monkeypatch.setattr(part_module.PartWriter, "write", _only_small(part_module.PartWriter.write))
    return small_blocks


def _only_small(write: Callable[..., None]) -> Callable[..., None]:
    def checked(self: Any, offset: int, data: bytes) -> None:
        assert not self.part.path.name.endswith((".safetensors.part", ".gguf.part"))
        write(self, offset, data)

    return checked


@pytest.mark.parametrize("write", [sharded, fused_projections, equal_head, gguf])
def test_weights_that_are_not_kept_are_never_on_the_disk(
    write: Callable[[Path], Path], small_window: World, tmp_path: Path
) -> None:
    (small_window.hub.folder / "org").mkdir()
    source = write(small_window.hub.folder / MODEL)
    data, progress = pull(small_window, keep=False)
    assert data == plain(source, tmp_path)
    assert not any("again" in line for line in progress.lines)


def test_a_head_that_differs_after_all_is_converted_from_the_disk(
    small_blocks: World, tmp_path: Path
) -> None:
    (small_blocks.hub.folder / "org").mkdir()
    source = write_with_head("qwen3-gqa-tied", small_blocks.hub.folder / MODEL, equal=False)
    data, progress = pull(small_blocks, keep=False)
    assert data == plain(source, tmp_path)
    assert any("Converting again" in line for line in progress.lines)


def test_damaged_bytes_in_the_window_are_fetched_again(small_blocks: World, tmp_path: Path) -> None:
    source = write_checkpoint(MODELS["llama-bias-untied-linear"], small_blocks.hub.folder / MODEL)
    small_blocks.hub.configure(MODEL, damaged={"file": "model.safetensors", "times": 1})
    assert pull(small_blocks, keep=False)[0] == plain(source, tmp_path)


def test_a_disk_without_room_for_the_checkpoint(
    small_window: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sharded(small_window.hub.folder / MODEL)
    weights = sum(p.stat().st_size for p in source.glob("*.safetensors"))
    free = 64_000_000 + 2 * weights  # what is spared, bundle and cache
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    settings = Settings(small_window.models, small_window.cwd, {})
    progress = Recorder()
    made = acquire(
        AcquireRequest(MODEL),
        store=Store(small_window.models),
        settings=settings,
        progress=progress,
    )
    assert made.bundle.read_bytes() == plain(source, tmp_path)
    assert "There is no room on the disk for the checkpoint: it is not kept." in progress.lines
    assert not (small_window.folder(MODEL) / "checkpoint").exists()
