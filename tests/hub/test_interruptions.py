"""Kills at any moment, and two processes that want one model."""

from __future__ import annotations

import random
import signal
import time

import pytest

from hub.conftest import World, bundle_bytes
from hub.server import file_hashes
from hub.test_downloads import publish_tiny

MODEL = "org/tiny"
ROUNDS = range(10)


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


@pytest.mark.parametrize("seed", ROUNDS)
def test_killed_while_downloading(world, right_bundle, seed):
    publish_tiny(world, MODEL)
    world.hub.configure(MODEL, slow=400_000)
    at = int(random.Random(seed).random() * checkpoint_size(world))
    world.run_and_kill(lambda: world.hub.bytes_sent >= at, "pull", MODEL)
    world.hub.configure(MODEL)
    assert_ends_right(world, right_bundle)


@pytest.mark.parametrize("seed", ROUNDS)
def test_killed_while_converting(world, right_bundle, seed):
    publish_tiny(world, MODEL)
    whole = world.folder(MODEL) / "checkpoint" / ".hub.json"
    delay = random.Random(seed).random() * 0.7
    seen: list[float] = []

    def is_converting() -> bool:
        if whole.exists():
            seen.append(time.monotonic())
        return bool(seen) and time.monotonic() - seen[0] >= delay

    world.run_and_kill(is_converting, "pull", MODEL)
    assert_ends_right(world, right_bundle)


def test_killed_again_and_again(world):
    """Every try gets further, so that a bad line ends in a model too."""
    size = 1_500_000
    world.add("o/x", {"x.litertlm": bundle_bytes(size)}, slow=2_000_000)
    there, rounds = 0, 0
    while not world.bundles("o/x") and rounds < 20:
        goal = there + size // 5
        if not world.run_and_kill(lambda goal=goal: world.part_has("o/x", goal), "pull", "o/x"):
            break
        parts = list(world.folder("o/x").glob(".download/*.part"))
        assert all(p.stat().st_size >= there for p in parts)
        there = max((p.stat().st_size for p in parts), default=there)
        rounds += 1
    assert world.run("pull", "o/x").code == 0
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")
    # Little was sent twice: what was in the pipes at each kill.
    assert world.hub.bytes_sent < 2 * size


def test_interrupted_by_the_user(world):
    publish_tiny(world, MODEL)
    world.hub.configure(MODEL, slow=50_000)
    process = world.start("pull", MODEL)
    while not world.part_has(MODEL, 10_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.endswith("✗ Interrupted.\n")
    world.hub.configure(MODEL)
    assert world.run("pull", MODEL).code == 0
    assert any(r.range for r in world.hub.requests)


def test_two_processes_and_one_download(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(2_000_000)}, slow=1_500_000)
    first = world.start("pull", "o/x")
    while not world.part_has("o/x", 1):
        time.sleep(0.01)
    second = world.start("pull", "o/x", "--json")
    _, first_err = first.communicate()
    second_out, second_err = second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Waiting for another process that is working on o/x..." in second_err
    assert "✓ Model already exists at" in second_err
    assert "✓ Model downloaded successfully" in first_err
    assert '"model": "o/x"' in second_out
    assert len(world.hub.of("cdn")) == 1


def test_second_process_takes_over_from_a_killed_one(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(2_000_000)}, slow=1_500_000)
    first = world.start("pull", "o/x")
    while not world.part_has("o/x", 1):
        time.sleep(0.01)
    second = world.start("pull", "o/x")
    time.sleep(0.5)
    first.kill()
    first.communicate()
    second.communicate()
    assert second.returncode == 0
    (bundle,) = world.bundles("o/x")
    assert world.is_published(bundle, "o/x")
    assert world.hub.of("cdn")[-1].range is not None
