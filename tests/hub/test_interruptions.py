"""Kills at chosen moments, and two processes that want one model."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from hub.conftest import World, bundle_bytes
from hub.server import file_hashes
from hub.test_downloads import publish_tiny
from stopping import Moment, Stop, wait_until

MODEL = "org/tiny"
# Moments of a conversion, in their order: those at which the bundle has no name, and one after.
# More of them: tests/e2e/test_conversion_faults.py.
BEFORE_THE_RENAME = (
    Moment("pwrite", "stub.litertlm"),
    Moment("pwrite", ".tiny.litertlm.*.tmp", skip=10),
    Moment("rename", "tiny.litertlm"),
)
AFTER_THE_RENAME = (Moment("rename", "tiny.json"),)


@pytest.fixture(scope="module")
def right_bundle(tmp_path_factory) -> tuple[str, str]:
    """The hashes of what an undisturbed conversion makes."""
    from hub.server import HubServer

    folder = tmp_path_factory.mktemp("undisturbed")
    with HubServer(folder / "hub") as hub:
        world = World(folder / "home", hub)
        world.cwd.mkdir(parents=True)
        publish_tiny(world, MODEL)
        assert world.run("pull", MODEL).code == 0
        (bundle,) = world.bundles(MODEL)
        return file_hashes(bundle)


def checkpoint_size(world: World) -> int:
    folder = world.hub.folder / MODEL
    return sum(p.stat().st_size for p in folder.glob("model*.safetensors"))


def assert_ends_right(world: World, right: tuple[str, str]) -> None:
    """Nothing damaged has a final name now, and the next run makes the right bundle."""
    for bundle in world.bundles(MODEL):
        assert file_hashes(bundle) == right
    done = world.run("pull", MODEL)
    assert done.code == 0, done.err
    (bundle,) = world.bundles(MODEL)
    assert file_hashes(bundle) == right
    hidden = [f for f in world.everything() if f.startswith("models/org/") and "/." in f]
    assert hidden == [f"models/{MODEL}/checkpoint/.hub.json"]


@pytest.mark.parametrize("share", [0, 0.4, 0.99])
def test_killed_while_downloading(world, right_bundle, share):
    publish_tiny(world, MODEL)
    at = 1 + int(share * checkpoint_size(world))
    world.hub.configure(MODEL, hold=at)
    process = world.start("pull", MODEL)
    wait_until(lambda: world.hub.bytes_sent >= at, process, f"{at} bytes were sent")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert world.hub.bytes_sent == at
    assert world.bundles(MODEL) == []
    world.hub.configure(MODEL)
    assert_ends_right(world, right_bundle)


@pytest.mark.parametrize("moment", [*BEFORE_THE_RENAME, *AFTER_THE_RENAME], ids=str)
def test_killed_while_converting(world, right_bundle, moment):
    publish_tiny(world, MODEL)
    stop = Stop(moment, world.home)
    process = world.start("pull", MODEL, **stop.environment)
    stop.wait(process)
    stop.kill(process)
    complete = moment in AFTER_THE_RENAME
    assert bool(world.bundles(MODEL)) == complete
    if complete:
        # It is used as it is, with its record; what is left beside it goes with the next change.
        assert world.run("pull", MODEL).code == 0
        shown = json.loads(world.run("show", MODEL, "--json").out)
        assert shown["sha256"] == right_bundle[0]
        assert world.run("pull", MODEL, "--reconvert").code == 0
    assert_ends_right(world, right_bundle)


def test_killed_again_and_again(world):
    """Every try gets further, so that a bad line ends in a model too."""
    size, step = 4_000_000, 500_000
    world.add("o/x", {"x.litertlm": bundle_bytes(size)})
    there = 0
    for _ in range(4):
        world.kill_in_download("o/x", there + step)
        (part,) = world.folder("o/x").glob(".download/*.part")
        assert part.stat().st_size >= there + step
        there = part.stat().st_size
    world.hub.configure("o/x")
    assert world.run("pull", "o/x").code == 0
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")
    # Little was sent twice: what was in the pipes at each kill.
    assert world.hub.bytes_sent < 1.5 * size


def test_interrupted_by_the_user(world):
    publish_tiny(world, MODEL, "llama-gqa-tied")  # whose weights are one file
    world.hub.configure(MODEL, hold=checkpoint_size(world) // 2)
    process = world.start("pull", MODEL)
    # Small files are downloaded beside the weights: only these are held back in the middle.
    wait_until(
        lambda: world.part_has(MODEL, 10_000, "*.safetensors"), process, "weights were on disk"
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.endswith("✗ Interrupted.\n")
    assert world.bundles(MODEL) == []
    world.hub.configure(MODEL)
    assert world.run("pull", MODEL).code == 0
    assert any(r.range for r in world.hub.requests)


def start_two(world, *options) -> tuple[subprocess.Popen[str], subprocess.Popen[str], Path]:
    """A download that the Hub holds back, and a process that waits for it; the latter's stderr."""
    world.add("o/x", {"x.litertlm": bundle_bytes(2_000_000)}, hold=1_000_000)
    first = world.start("pull", "o/x")
    wait_until(lambda: world.part_has("o/x", 1), first, "a part was on disk")
    log = world.home / "second.log"
    with log.open("w") as file:
        second = world.start("pull", "o/x", *options, stderr=file)
    waiting = "Waiting for another process that is working on o/x..."
    wait_until(lambda: waiting in log.read_text(), second, "it waited")
    assert first.poll() is None
    return first, second, log


def test_two_processes_and_one_download(world):
    first, second, log = start_two(world, "--json")
    world.hub.configure("o/x")
    _, first_err = first.communicate()
    second_out, _ = second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "✓ Model already exists at" in log.read_text()
    assert "✓ Model downloaded successfully" in first_err
    assert '"model": "o/x"' in second_out
    assert len(world.hub.of("cdn")) == 1


def test_second_process_takes_over_from_a_killed_one(world):
    first, second, log = start_two(world)
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    world.hub.configure("o/x")
    second.communicate()
    assert second.returncode == 0, log.read_text()
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")
    assert world.hub.of("cdn")[-1].range is not None
