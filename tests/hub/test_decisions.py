"""What `pull` and `run` decide about a repository, from its metadata alone."""

from __future__ import annotations

import json

import pytest

from hub.conftest import World, bundle_bytes

GEMMA = "litert-community/gemma-3-270m-it"
QWEN = "litert-community/Qwen3-0.6B"


def publish_qwen(world: World) -> None:
    names = [
        "Qwen3-0.6B.litertlm",
        "Qwen3-0.6B.mediatek.mt6993.litertlm",
        "qwen3_0_6b_mixed_int4.litertlm",
        "qwen3-0.6b-web.task",
    ]
    files = {name: bundle_bytes(5000, seed) for seed, name in enumerate(names)}
    world.add(QWEN, {**files, "README.md": "x"}, license="apache-2.0", base_model="Qwen/Qwen3-0.6B")


def test_ready_bundle_under_its_own_file_name(world):
    world.add(GEMMA, {"gemma3-270m-it-q8.litertlm": bundle_bytes(9000), "README.md": "x"})
    done = world.run("pull", GEMMA)
    assert done.code == 0
    assert "Model not found locally. Downloading from HuggingFace...\n" in done.err
    assert "✓ Model downloaded successfully\n" in done.err
    (bundle,) = world.bundles(GEMMA)
    assert bundle.name == "gemma3-270m-it-q8.litertlm"
    assert world.is_published(bundle, GEMMA)

    again = world.run("pull", GEMMA, HF_HUB_OFFLINE="1")
    assert again.code == 0
    assert "✓ Model already exists at " in again.err
    assert "Downloading" not in again.err


def test_the_right_one_of_several_and_the_others_named(world):
    publish_qwen(world)
    done = world.run("pull", QWEN, "--verbose")
    assert done.code == 0
    assert [p.name for p in world.bundles(QWEN)] == ["Qwen3-0.6B.litertlm"]
    assert "Other files (--file NAME): qwen3_0_6b_mixed_int4.litertlm\n" in done.err
    assert "Not for this machine: Qwen3-0.6B.mediatek.mt6993.litertlm\n" in done.err
    assert "licence apache-2.0" in done.err


def test_file_option_picks(world):
    publish_qwen(world)
    done = world.run("pull", QWEN, "--file", "qwen3_0_6b_mixed_int4.litertlm")
    assert done.code == 0
    assert [p.name for p in world.bundles(QWEN)] == ["qwen3_0_6b_mixed_int4.litertlm"]

    other = world.run("pull", QWEN, "--file", "Qwen3-0.6B.litertlm", "--json")
    assert json.loads(other.out)["path"].endswith("/Qwen3-0.6B.litertlm")
    assert len(world.bundles(QWEN)) == 2

    wrong = world.run("pull", QWEN, "--file", "none.litertlm")
    assert wrong.code == 3
    assert "no file 'none.litertlm'" in wrong.err
    assert "qwen3_0_6b_mixed_int4.litertlm" in wrong.err
    assert world.run("pull", QWEN, "--file", "README.md").code == 2


def test_provenance_says_where_the_bundle_came_from(world):
    publish_qwen(world)
    shown = json.loads(world.run("pull", QWEN, "--json").out)
    assert shown["source"] == "hub"
    assert shown["origin"] == QWEN
    assert shown["commit"] == world.hub.commit(QWEN)
    assert shown["recipe"] is None


def test_only_files_for_other_hardware(world):
    world.add("o/x", {"x.qualcomm.sm8750.litertlm": bundle_bytes(900), "x-web.task": b"1"})
    done = world.run("pull", "o/x")
    assert done.code == 7
    assert "Nothing in o/x can be run here." in done.err
    assert "x.qualcomm.sm8750.litertlm" in done.err
    assert world.run("pull", "o/x", "--file", "x.qualcomm.sm8750.litertlm").code == 0


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"README.md": "x"}, "neither a .litertlm file nor config.json"),
        ({"x.task": "x"}, "for MediaPipe"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, "are pickles (pytorch_model.bin)"),
        ({"x-00001-of-00002.gguf": "GGUF"}, "in pieces"),
    ],
)
def test_nothing_usable_is_told_from_the_listing(world, files, reason):
    world.add("o/x", files)
    done = world.run("pull", "o/x")
    assert done.code == 7
    assert reason in done.err
    assert world.everything() == ["models/.locks/o--x.lock"]


def test_addresses_and_revisions(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900, 1)}, branches={"v1": "o/x.v1"})
    world.add("o/x.v1", {"x.litertlm": bundle_bytes(900, 2)})
    assert world.run("pull", "https://huggingface.co/o/x").code == 0
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")

    for arguments in (["o/x@v1"], ["o/x", "--revision", "v1"], ["hf.co/o/x/tree/v1"]):
        done = world.run("pull", *arguments, "--json")
        assert json.loads(done.out)["commit"] == world.hub.commit("o/x.v1")
        assert world.is_published(bundle, "o/x.v1")

    commit = world.hub.commit("o/x")
    assert world.run("pull", f"o/x@{commit}").code == 0
    assert world.is_published(bundle, "o/x")

    wrong = world.run("pull", "o/x", "--revision", "v9")
    assert wrong.code == 3
    assert "o/x has no revision 'v9'" in wrong.err
