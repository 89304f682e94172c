"""Downloads: what is fetched, resumed, verified, retried, pinned and reused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pexpect
import pytest

from hub.conftest import NO_PROXIES, World, bundle_bytes
from hub.server import file_hashes
from program import PROGRAM, isolated_environment
from tiny import MODELS, write_checkpoint

SIZE = 3_000_000


@pytest.fixture
def bundle(world) -> World:
    """One bundle of 3 MB in `o/x`."""
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)})
    return world


def pulled(world: World, repo: str = "o/x") -> None:
    (path,) = world.bundles(repo)
    assert world.is_published(path, repo)
    assert [p.name for p in world.folder(repo).iterdir() if p.name.startswith(".")] == []


def publish_tiny(world: World, repo: str, name: str = "llama-llama3-f16-sharded") -> Path:
    """A small checkpoint with everything beside it that repositories carry."""
    folder = write_checkpoint(MODELS[name], world.hub.folder / repo)
    for extra in ("pytorch_model.bin", "consolidated.safetensors", "modeling_x.py", "vocab.json"):
        (folder / extra).write_bytes(b"not to be touched")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"not to be touched")
    return folder


def test_a_ready_bundle_is_downloaded_without_the_imports_of_a_conversion(bundle):
    done = bundle.run("pull", "o/x", PYTHONPROFILEIMPORTTIME="1")
    pulled(bundle)
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "litertlm.hub.download" in imported
    assert not imported & {"numpy", "litertlm.families", "huggingface_hub.file_download"}


def test_only_what_conversion_needs(world):
    folder = publish_tiny(world, "org/tiny")
    done = world.run("pull", "org/tiny")
    assert done.code == 0, done.err
    assert "Model not found locally. Converting from HuggingFace...\n" in done.err
    assert "✓ Model successfully converted!" in done.err
    kept = {p.name for p in (world.folder("org/tiny") / "checkpoint").iterdir()}
    wanted = {p.name for p in folder.glob("model*.safetensors*")}
    wanted |= {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert kept - {".hub.json"} == wanted & {p.name for p in folder.iterdir()}
    asked = " ".join(r.path for r in world.hub.requests)
    for unwanted in ("pytorch_model", "consolidated", "modeling_x", "vocab.json", "onnx"):
        assert unwanted not in asked


def test_checkpoint_is_kept_or_not(world):
    publish_tiny(world, "org/tiny")
    assert world.run("pull", "org/tiny").code == 0
    (bundle,) = world.bundles("org/tiny")
    made = file_hashes(bundle)
    bundle.unlink()
    # Converted again from the checkpoint that was kept, without the network.
    again = world.run("pull", "org/tiny", HF_HUB_OFFLINE="1")
    assert again.code == 0, again.err
    assert file_hashes(bundle) == made

    done = world.run("pull", "org/tiny", "--reconvert", "--no-keep-checkpoint")
    assert done.code == 0
    assert not (world.folder("org/tiny") / "checkpoint").exists()
    assert file_hashes(bundle) == made


def test_resumed_after_a_kill(bundle):
    bundle.kill_in_download("o/x")
    (part,) = (bundle.folder("o/x") / ".download").iterdir()
    there = part.stat().st_size
    assert 0 < there < SIZE
    assert bundle.bundles("o/x") == []
    (leftover,) = json.loads(bundle.run("prune", "--dry-run", "--json").out)
    assert (leftover["reason"], leftover["size_bytes"]) == ("unfinished download", there)
    bundle.hub.configure("o/x")
    assert bundle.run("pull", "o/x").code == 0
    assert bundle.hub.of("cdn")[-1].range == f"bytes={there}-"
    pulled(bundle)


def test_dropped_connections_are_continued(bundle):
    bundle.hub.configure("o/x", truncated={"after": SIZE // 4 + 1})
    done = bundle.run("pull", "o/x", "--verbose")
    assert done.code == 0
    assert "Trying again" in done.err
    assert len(bundle.hub.of("cdn")) == 4
    assert bundle.hub.bytes_sent == SIZE
    pulled(bundle)


def test_server_without_ranges(bundle):
    bundle.hub.configure("o/x", truncated={"after": SIZE // 2, "times": 1}, ranges=False)
    assert bundle.run("pull", "o/x").code == 0
    pulled(bundle)


@pytest.mark.parametrize(("status", "where"), [(429, "api"), (503, "resolve"), (429, "cdn")])
def test_busy_hub_is_asked_again(bundle, status, where):
    flaky = {"status": status, "times": 2, "where": where, "retry_after": 1}
    bundle.hub.configure("o/x", flaky=flaky)
    done = bundle.run("pull", "o/x")
    assert done.code == 0, done.err
    assert f"answered {status}" in done.err
    assert done.err.count("Waiting 1 s, as requested by the server...") == 2
    pulled(bundle)


def test_busy_hub_that_names_a_date(bundle):
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=4), usegmt=True)
    flaky = {"status": 503, "times": 1, "where": "api", "retry_after": date}
    bundle.hub.configure("o/x", flaky=flaky)
    done = bundle.run("pull", "o/x")
    assert done.code == 0, done.err
    assert "as requested by the server..." in done.err
    pulled(bundle)


def test_hub_that_stays_out_of_order(bundle):
    bundle.hub.configure("o/x", flaky={"status": 500, "where": "cdn", "retry_after": 0})
    done = bundle.run("pull", "o/x")
    assert done.code == 5
    assert "answered 500" in done.err
    assert len(bundle.hub.of("cdn")) == 5
    bundle.hub.configure("o/x", flaky={"status": 429, "where": "api", "retry_after": 9000})
    done = bundle.run("pull", "o/x")
    assert done.code == 5
    assert "answered 429" in done.err


def test_refusal_of_another_host_is_not_taken_for_the_hubs(bundle):
    bundle.hub.configure("o/x", flaky={"status": 403, "where": "cdn"})
    done = bundle.run("pull", "o/x")
    assert done.code == 5
    assert "localhost answered 403 Forbidden." in done.err


def test_wrong_hash_is_never_taken(bundle):
    bundle.hub.configure("o/x", hashes={"x.litertlm": "ab" * 32})
    done = bundle.run("pull", "o/x")
    assert done.code == 5
    assert "of o/x is wrong." in done.err
    assert bundle.hub.bytes_sent == 2 * SIZE  # a second try, in case it was an accident
    assert bundle.bundles("o/x") == []
    bundle.hub.configure("o/x")
    assert bundle.run("pull", "o/x").code == 0
    pulled(bundle)


def test_damaged_part_is_found_and_fetched_again(bundle):
    bundle.kill_in_download("o/x")
    (part,) = (bundle.folder("o/x") / ".download").iterdir()
    with part.open("r+b") as file:
        file.write(b"damage")
    bundle.hub.configure("o/x")
    assert bundle.run("pull", "o/x").code == 0
    pulled(bundle)


def test_small_files_are_verified_too(world):
    publish_tiny(world, "org/tiny")
    world.hub.configure("org/tiny", hashes={"tokenizer.json": "1" * 40})
    done = world.run("pull", "org/tiny")
    assert done.code == 5
    assert "The hash of tokenizer.json of org/tiny is wrong" in done.err
    assert world.bundles("org/tiny") == []


def test_push_in_between_does_not_mix_revisions(world):
    publish_tiny(world, "org/tiny", "llama-llama3-f16-sharded")
    write_checkpoint(MODELS["llama-bias-untied-linear"], world.hub.folder / "org/tiny.next")
    commit = world.hub.commit("org/tiny")
    world.hub.configure("org/tiny", push={"after": 3, "folder": "org/tiny.next"})
    done = world.run("pull", "org/tiny", "--json")
    assert done.code == 0, done.err
    assert world.hub.revision_folder("org/tiny", "main") == "org/tiny.next"
    assert json.loads(done.out)["commit"] == commit
    for path in (world.folder("org/tiny") / "checkpoint").glob("*.*"):
        if not path.name.startswith("."):
            assert world.is_published(path, "org/tiny")


def test_newer_commit_does_not_continue_an_older_part(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE, 1)})
    world.kill_in_download("o/x")
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE, 2)}, ranges=True)
    assert world.run("pull", "o/x").code == 0
    assert world.hub.of("cdn")[-1].range is None
    pulled(world)


HF_DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download
for name in sys.argv[2:]:
    hf_hub_download(sys.argv[1], name)
"""


def fill_cache(world: World, repo: str, *names: str) -> None:
    """Let huggingface_hub itself download files to its cache."""
    environment = isolated_environment(world.home, HF_ENDPOINT=world.hub.url, **NO_PROXIES)
    script = [sys.executable, "-c", HF_DOWNLOAD, repo, *names]
    subprocess.run(script, env=environment, check=True, capture_output=True)
    world.hub.requests.clear()


def test_files_in_the_hugging_face_cache_are_used(bundle):
    fill_cache(bundle, "o/x", "x.litertlm")
    done = bundle.run("pull", "o/x", "--verbose")
    assert done.code == 0
    assert "x.litertlm: from the Hugging Face cache." in done.err
    assert bundle.hub.of("cdn") == []
    pulled(bundle)
    # It is the model's own file: removing the model leaves the cache alone, and the reverse.
    assert bundle.run("rm", "o/x").code == 0
    assert any(p.stat().st_size == SIZE for p in (bundle.home / "huggingface").rglob("blobs/*"))


def test_damaged_file_in_the_cache_is_not_used(bundle):
    fill_cache(bundle, "o/x", "x.litertlm")
    for blob in (bundle.home / "huggingface").rglob("blobs/*"):
        blob.write_bytes(b"LITERTLM" + bytes(SIZE - 8))
    assert bundle.run("pull", "o/x").code == 0
    assert len(bundle.hub.of("cdn")) == 1
    pulled(bundle)


def test_one_bar_for_all_files(world):
    publish_tiny(world, "org/tiny")
    world.hub.configure("org/tiny", slow=40_000)
    environment = isolated_environment(
        world.home, HF_ENDPOINT=world.hub.url, TERM="xterm", **NO_PROXIES
    )
    del environment["COLUMNS"]
    terminal = pexpect.spawn(
        PROGRAM[0],
        [*PROGRAM[1:], "pull", "org/tiny"],
        env=environment,
        cwd=str(world.cwd),
        dimensions=(24, 120),
        encoding="utf-8",
        timeout=60,
    )
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    bars = [line for line in terminal.before.split("\r") if "Downloading org/tiny" in line]
    assert len(bars) > 3
    assert {line.split(" of ")[1].split("  ")[0] for line in bars} == {
        bars[0].split(" of ")[1].split("  ")[0].strip()
    }
    assert any("/s" in line and " left" in line for line in bars)
    assert os.linesep not in bars[1]


def test_several_models(world):
    for name in ("o/x", "o/y"):
        world.add(name, {f"{name[2:]}.litertlm": bundle_bytes(SIZE)})
    done = world.run("pull", "o/x", "o/missing", "o/y", "o/gone", "--json")
    assert done.code == 3
    assert [entry["model"] for entry in json.loads(done.out)] == ["o/x", "o/y"]
    assert "No model o/gone on the Hub." in done.err
    assert "No model o/missing on the Hub." in done.err
    assert len(world.bundles("o/x")) == len(world.bundles("o/y")) == 1
    single = world.run("pull", "o/x", "--json")
    assert json.loads(single.out)["model"] == "o/x"
    both = world.run("pull", "o/x", "o/y", "--revision", "main")
    assert both.code == 2
    assert "--revision needs a single MODEL." in both.err
