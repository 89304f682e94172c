"""Disk and memory are checked before anything large is downloaded."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess

import pytest

from hub.conftest import NO_PROXIES, World, bundle_bytes
from program import PROGRAM, isolated_environment
from tiny import MODELS

TERABYTE = 10**12


def assert_refused(world: World, code: int, err: str, *words: str) -> None:
    assert code == 6
    for word in words:
        assert word in err
    assert world.hub.of("cdn") == []
    assert world.bundles("o/x") == []


def test_not_enough_disk_for_a_bundle(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, sizes={"x.litertlm": 9 * TERABYTE})
    done = world.run("pull", "o/x")
    words = [
        "✗ Not enough disk space for o/x.",
        "needs 18.0 TB",
        "download 9.0 TB",
        " are free in ",
    ]
    assert_refused(world, done.code, done.err, *words, "litert-lm-cli prune")


def test_not_enough_disk_for_a_checkpoint(world):
    config = {**MODELS["llama-gqa-tied"].config, "torch_dtype": "bfloat16"}
    files = {"config.json": json.dumps(config), "model.safetensors": b"0" * 900}
    world.add("o/x", files, sizes={"model.safetensors": 8 * TERABYTE})
    done = world.run("run", "o/x")
    # A checkpoint in bfloat16 becomes half as large in int8; the runtime's cache is another half.
    numbers = ["16.0 TB", "download 8.0 TB", "bundle 4.0 TB", "runtime cache 4.0 TB"]
    assert_refused(world, done.code, done.err, *numbers)


@pytest.mark.parametrize("kind", ["bundle", "checkpoint"])
def test_not_enough_memory(world, kind):
    """The limit of the process (`ulimit -v`) counts like the machine's memory."""
    size = 2_000_000_000
    limit = size // 2
    if kind == "bundle":
        files = {"x.litertlm": bundle_bytes(900)}
        world.add("o/x", files, sizes={"x.litertlm": size})
    else:
        config = {**MODELS["llama-gqa-tied"].config, "torch_dtype": "float16"}
        files = {"config.json": json.dumps(config), "model.safetensors": b"0" * 900}
        world.add("o/x", files, sizes={"model.safetensors": 2 * size})
    assert shutil.disk_usage(world.home).free > 5 * size, "this test needs 10 GB of free disk"
    done = subprocess.run(
        [*PROGRAM, "pull", "o/x"],
        env=isolated_environment(world.home, HF_ENDPOINT=world.hub.url, **NO_PROXIES),
        cwd=world.cwd,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    words = ["✗ Not enough memory to run o/x.", "about 2.3 GB", "there are 1.0 GB"]
    assert_refused(world, done.returncode, done.stderr, *words)


def test_what_is_there_already_needs_no_room(world):
    """A resumed download counts only the bytes that are missing."""
    size = 3_000_000
    world.add("o/x", {"x.litertlm": bundle_bytes(size)})
    world.kill_in_download("o/x")
    (part,) = world.folder("o/x").glob(".download/*")
    there = part.stat().st_size
    announced = 9 * TERABYTE
    world.hub.configure("o/x", sizes={"x.litertlm": announced})
    part.rename(part.with_name(part.name.replace(f"-{size}-", f"-{announced}-")))
    done = world.run("pull", "o/x", "--json")
    why = json.loads(done.err.splitlines()[-1])["error"]["why"]
    assert done.code == 6
    assert there > 0
    assert "download 9.0 TB" in why
