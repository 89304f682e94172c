"""What `pull` and `run` decide about a repository, from its metadata alone."""

from __future__ import annotations

import json

import gguf
import pytest

from hub.conftest import World, bundle_bytes
from tiny import MODELS, write_checkpoint
from tiny.gguf_file import write_gguf

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


def test_bundle_for_the_backend_that_is_asked_for(world):
    files = ("x_int8.litertlm", "x_int8_gpu.litertlm")
    world.add("o/x", {name: bundle_bytes(900) for name in files})
    # It is no real bundle, so that it is downloaded and then refused.
    assert world.run("run", "o/x", "--prompt", "hi", "--backend", "gpu").code == 10
    assert [p.name for p in world.bundles("o/x")] == ["x_int8_gpu.litertlm"]


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


LLAMA = dict(MODELS["llama-gqa-tied"].config)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"README.md": "x"}, "neither a .litertlm file nor config.json"),
        ({"x.task": "x"}, "for MediaPipe"),
        (
            {"config.json": json.dumps(LLAMA), "pytorch_model.bin": "x"},
            "are pickles (pytorch_model.bin)",
        ),
        (
            {"config.json": '{"model_type": "mamba"}', "pytorch_model.bin": "x"},
            "Models of type 'mamba' cannot be converted",
        ),
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


def publish_gguf(world: World, repo: str, *names: str, seed: str = "llama-gqa-tied") -> None:
    for name in names:
        path = world.hub.folder / repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = gguf.GGMLQuantizationType[name.rpartition("-")[2].removesuffix(".gguf")]
        write_gguf(MODELS[seed], path, matrices=kind)


def test_convert_takes_the_checkpoint_beside_a_ready_bundle(world):
    write_checkpoint(MODELS["llama-gqa-tied"], world.hub.folder / "o/both")
    world.add("o/both", {"both.litertlm": bundle_bytes(5000)})
    done = world.run("convert", "o/both", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["recipe"] == "dynamic_int8"


def test_convert_has_nothing_to_do_with_ready_bundles(world):
    world.add("o/ready", {"ready.litertlm": bundle_bytes(5000)})
    for more in ([], ["--file", "ready.litertlm"]):
        done = world.run("convert", "o/ready", *more)
        assert done.code == 2, done.err
        assert "✗ There is nothing to convert in o/ready." in done.err
        assert "litert-lm-cli run o/ready" in done.err
    assert not world.bundles("o/ready")
    (world.cwd / "mine.litertlm").write_bytes(bundle_bytes(5000))
    done = world.run("convert", "mine.litertlm")
    assert done.code == 2
    assert "mine.litertlm is a bundle already" in done.err


def test_gguf_only_repository_is_converted_from_its_most_precise_file(world):
    publish_gguf(world, "o/x-GGUF", "x-Q8_0.gguf", "x-F16.gguf", "x-Q4_0.gguf")
    world.add("o/x-GGUF", {"mmproj-x-F32.gguf": b"GGUF", "README.md": "x"})
    done = world.run("pull", "o/x-GGUF")
    assert done.code == 0, done.err
    assert "o/x-GGUF: x-F16.gguf, " in done.err
    assert "Other files (--file NAME): x-Q8_0.gguf, x-Q4_0.gguf\n" in done.err
    assert "✓ Model successfully converted!" in done.err
    (bundle,) = world.bundles("o/x-GGUF")
    assert bundle.name == "x-GGUF.litertlm"
    names = {p.name for p in (world.folder("o/x-GGUF") / "checkpoint").iterdir()}
    assert names == {"x-F16.gguf", ".hub.json"}

    smaller = world.run("pull", "o/x-GGUF", "--file", "x-Q4_0.gguf", "--reconvert")
    assert smaller.code == 0, smaller.err
    assert "o/x-GGUF: x-Q4_0.gguf, " in smaller.err


def test_gguf_of_another_architecture_is_refused_by_its_header(world):
    publish_gguf(world, "o/x", "x-F16.gguf")
    path = world.hub.folder / "o/x" / "x-F16.gguf"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"llama", b"mamba", 1) + bytes(5_000_000))
    done = world.run("pull", "o/x")
    assert done.code == 7
    assert "its architecture is 'mamba'" in done.err
    assert "llama" in done.err
    assert world.hub.bytes_sent < 100_000


def test_repository_that_has_moved(world):
    world.add("new/name", {"x.litertlm": bundle_bytes(900)})
    world.hub.configure("old/name", moved="new/name")
    done = world.run("pull", "old/name")
    assert done.code == 0
    assert "old/name is now new/name on the Hub." in done.err
    (bundle,) = world.bundles("old/name")
    assert world.is_published(bundle, "new/name")
