"""Short names, near names, names that the Hub does not have, and checkpoints with a bundle."""

from __future__ import annotations

import json

import pytest

from hub.conftest import World, bundle_bytes
from hub.test_downloads import publish_tiny


def publish_as(world: World, repo: str, **settings: object) -> None:
    """A small checkpoint under the name of a large one."""
    publish_tiny(world, repo)
    world.hub.configure(repo, **settings)


def test_gemma_3_1b_is_called_pt_on_the_hub(world):
    name = "google/gemma-3-1b"
    publish_as(world, "google/gemma-3-1b-pt", license="gemma")
    done = world.run("pull", name)
    assert done.code == 0, done.err
    assert "google/gemma-3-1b is called google/gemma-3-1b-pt on the Hub." in done.err
    assert "Converting google/gemma-3-1b-pt..." in done.err
    (bundle,) = world.bundles("google/gemma-3-1b-pt")
    assert bundle.name == "gemma-3-1b-pt.litertlm"
    again = world.run("pull", name, HF_HUB_OFFLINE="1")
    assert "✓ Model already exists at" in again.err
    assert world.run("rm", name).code == 0
    assert world.bundles("google/gemma-3-1b-pt") == []


@pytest.mark.parametrize("name", ["qwen3-0.6b", "QWEN/qwen3-0.6B"])
def test_names_without_organisation_and_in_any_case(world, name):
    publish_as(world, "Qwen/Qwen3-0.6B")
    done = world.run("pull", name, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["model"] == "Qwen/Qwen3-0.6B"


@pytest.mark.parametrize("name", ["qwen3-06b", "Qwen/Qwen3-0.6"])
def test_near_names_are_suggested(world, name):
    done = world.run("pull", name)
    assert done.code == 3
    assert "Did you mean" in done.err
    assert "qwen3-0.6b" in done.err.lower()


def test_ready_bundle_of_a_checkpoint_is_pointed_at(world):
    publish_as(world, "Qwen/Qwen3-0.6B")
    world.add(
        "litert-community/Qwen3-0.6B",
        {"Qwen3-0.6B.litertlm": bundle_bytes(1_000_000)},
        base_model="Qwen/Qwen3-0.6B",
    )
    done = world.run("pull", "Qwen/Qwen3-0.6B")
    assert done.code == 0
    hint = "A ready bundle of this model exists (1.0 MB): "
    assert f"{hint}litert-lm-cli run litert-community/Qwen3-0.6B\n" in done.err
    assert "✓ Model successfully converted!" in done.err


def test_bundle_of_another_model_is_not_pointed_at(world):
    publish_as(world, "org/tiny")
    files = {"tiny.litertlm": bundle_bytes(900)}
    world.add("litert-community/tiny", files, base_model="other/tiny")
    done = world.run("pull", "org/tiny")
    assert done.code == 0
    assert "A ready bundle" not in done.err


def test_table_of_models(world):
    world.add("litert-community/Qwen3-0.6B", {"Qwen3-0.6B.litertlm": bundle_bytes(900)})
    assert world.run("pull", "litert-community/Qwen3-0.6B").code == 0
    listed = json.loads(world.run("models", "--json").out)
    by_model = {entry["model"]: entry for entry in listed}
    named = [
        "litert-community/Qwen3-0.6B",
        "litert-community/gemma-3-270m-it",
        "Qwen/Qwen3-0.6B",
        "Qwen/Qwen3-1.7B",
        "Qwen/Qwen3-4B",
        "google/gemma-3-270m",
        "google/gemma-3-270m-it",
        "google/gemma-3-1b-pt",
        "google/gemma-3-1b-it",
        "google/functiongemma-270m-it",
        "LiquidAI/LFM2.5-350M",
        "LiquidAI/LFM2.5-1.2B-Instruct",
        "ibm-granite/granite-4.0-1b",
        "ibm-granite/granite-4.0-micro",
        "HuggingFaceTB/SmolLM3-3B",
        "mistralai/Ministral-3-3B-Instruct-2512-BF16",
    ]
    for model in named:
        entry = by_model[model]
        assert entry["parameters"][-1] in "mb"
        assert entry["download_bytes"] > entry["bundle_bytes"] * 0.9 > 1e8
        assert entry["context"] >= 1280
        assert entry["licence"]
        assert entry["gated"] == ("gemma" in model)
        assert entry["on_disk"] == (model == "litert-community/Qwen3-0.6B")
    assert len({entry["alias"] for entry in listed}) == len(listed)
    text = world.run("models").out
    assert all(model in text for model in named)
    assert world.hub.of("api")[1:] == []
