"""What the MODEL argument means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from litertlm.errors import ModelNotFound, UnsupportedModel, UsageError
from litertlm.services.acquire.catalog import CATALOG, lookup, suggestions
from litertlm.services.acquire.reference import (
    BundleFile,
    CatalogPackage,
    HubModel,
    LocalCheckpoint,
    OnDisk,
    resolve,
)
from litertlm.store import ModelName, Store, parse_name
from litertlm.units import format_parameters, parameters_in_name

QWEN = ModelName("Qwen", "Qwen3-0.6B")
GEMMA_1B = HubModel(ModelName("google", "gemma-3-1b-pt"), called="google/gemma-3-1b")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("Qwen/Qwen3-0.6B", HubModel(QWEN)),
        ("qwen/qwen3-0.6b", HubModel(QWEN)),
        ("Qwen/Qwen3-0.6B@main", HubModel(QWEN, revision="main")),
        ("qwen3-0.6b", HubModel(QWEN)),
        ("Qwen3-0.6B@v1", HubModel(QWEN, revision="v1")),
        ("google/gemma-3-1b", GEMMA_1B),
        ("https://huggingface.co/google/gemma-3-1b", GEMMA_1B),
        ("google/gemma-3-1b-pt", replace(GEMMA_1B, called=None)),
        ("someone/unknown", HubModel(ModelName("someone", "unknown"))),
        ("https://huggingface.co/Qwen/Qwen3-0.6B", HubModel(QWEN)),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/", HubModel(QWEN)),
        ("http://hf.co/Qwen/Qwen3-0.6B?x=1#y", HubModel(QWEN)),
        ("huggingface.co/Qwen/Qwen3-0.6B", HubModel(QWEN)),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/dev", HubModel(QWEN, revision="dev")),
        (
            "https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/sub/q8.litertlm",
            HubModel(QWEN, revision="main", file="sub/q8.litertlm"),
        ),
    ],
)
def test_hub_models(text: str, model: HubModel, store: Store, tmp_path: Path) -> None:
    assert resolve(text, store=store, cwd=tmp_path) == model


@pytest.mark.parametrize(
    "text", ["https://example.com/a/b", "https://huggingface.co/a", "a/b/c", "a/../b", "\x1b[2J/x"]
)
def test_what_cannot_be_a_model_is_a_usage_error(text: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        resolve(text, store=store, cwd=tmp_path)


def test_local_paths(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "org" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for text in ("org/checkpoint", "./org/checkpoint", str(folder), "org/checkpoint/"):
        assert resolve(text, store=store, cwd=tmp_path) == LocalCheckpoint(folder)
    gguf = tmp_path / "x.gguf"
    gguf.write_bytes(b"")
    assert resolve("x.gguf", store=store, cwd=tmp_path) == LocalCheckpoint(gguf)
    bundle = tmp_path / "x.litertlm"
    bundle.write_bytes(b"")
    assert resolve("x.litertlm", store=store, cwd=tmp_path) == BundleFile(bundle)
    alone = tmp_path / "alone"
    alone.mkdir()
    bundle.rename(alone / "y.litertlm")
    assert resolve("./alone", store=store, cwd=tmp_path) == BundleFile(alone / "y.litertlm")
    (alone / "z.litertlm").write_bytes(b"")
    with pytest.raises(UsageError, match="Several models"):
        resolve("./alone", store=store, cwd=tmp_path)


def test_a_short_name_wins_over_a_folder_of_that_name(store: Store, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "config.json").write_text("{}")
    assert isinstance(resolve("demo", store=store, cwd=tmp_path), CatalogPackage)
    assert isinstance(resolve("Demo", store=store, cwd=tmp_path), CatalogPackage)
    assert isinstance(resolve("./demo", store=store, cwd=tmp_path), LocalCheckpoint)


def test_paths_without_a_model(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text.bin").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedModel, match=r"text\.bin"):
        resolve("./text.bin", store=store, cwd=tmp_path)
    for text in ("./empty", "empty", "./none", "none.gguf", "~/no/such"):
        with pytest.raises(ModelNotFound):
            resolve(text, store=store, cwd=tmp_path)


def test_models_on_disk_are_known_by_name(store: Store, tmp_path: Path) -> None:
    for name in ("local/mine", "Someone/Theirs"):
        store.folder(parse_name(name)).mkdir(parents=True)
    assert resolve("mine", store=store, cwd=tmp_path) == OnDisk(ModelName("local", "mine"))
    assert resolve("local/MINE", store=store, cwd=tmp_path) == OnDisk(ModelName("local", "mine"))
    theirs = ModelName("Someone", "Theirs")
    assert resolve("theirs", store=store, cwd=tmp_path) == HubModel(theirs)
    with pytest.raises(ModelNotFound):
        resolve("local/none", store=store, cwd=tmp_path)


def test_unknown_names_suggest_near_ones(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve("gema-3-270m-it", store=store, cwd=tmp_path)
    assert "Did you mean gemma-3-270m-it" in caught.value.hint
    assert suggestions("google/gemma3-270m")[0] == "google/gemma-3-270m"
    assert suggestions("zzzzzz") == []


def test_every_catalog_name_means_itself() -> None:
    names = [name for e in CATALOG for name in (e.alias, e.model, e.model.upper())]
    assert [lookup(name) for name in names] == [e for e in CATALOG for _ in range(3)]
    for entry in CATALOG:
        assert str(parse_name(entry.model)) == entry.model
        assert entry.instruct is None or lookup(entry.instruct)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("gemma-3-270m", "270m"),
        ("Qwen3-0.6B", "0.6b"),
        ("gemma-3-1b-it", "1b"),
        ("SmolLM2-135M-Instruct.Q4_1", "135m"),
        ("my-model", None),
        ("b-12", None),
    ],
)
def test_the_size_in_a_name(name: str, size: str | None) -> None:
    assert parameters_in_name(name) == size


@pytest.mark.parametrize(
    ("count", "words"),
    [(134_515_008, "135m"), (1_720_574_976, "1.7b"), (999_885_952, "1b"), (1000, "1m")],
)
def test_a_count_in_words(count: int, words: str) -> None:
    assert format_parameters(count) == words
