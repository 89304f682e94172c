"""`update` with a Hub whose repositories get newer commits."""

from __future__ import annotations

import json
from pathlib import Path

from hub.conftest import World, bundle_bytes
from tiny import MODELS, write_checkpoint

READY, TINY = "someone/ready", "someone/tiny"


def update(world: World, *arguments: str, **environment: str) -> dict[str, dict[str, object]]:
    ended = world.run("update", "--json", *arguments, **environment)
    assert ended.code == 0, ended.err
    return {result["model"]: result for result in json.loads(ended.out)}


def older(world: World, repo: str) -> None:
    """Make the bundle of `repo` one that the first version of the conversion made."""
    (record,) = world.folder(repo).glob("*.json")
    data = json.loads(record.read_text())
    del data["versions"]["conversion"]
    record.write_text(json.dumps(data))


def test_newer_commits(world: World) -> None:
    world.add(READY, {"model.litertlm": bundle_bytes(100_000), "README.md": "1"})
    assert world.run("pull", READY).code == 0
    assert not update(world)[READY]["outdated"]
    world.add(READY, {"README.md": "2"})
    before = len(world.hub.of("resolve"))
    result = update(world, READY)[READY]
    assert result["updated"]
    assert len(world.hub.of("resolve")) == before, "the bundle is the same: nothing is downloaded"
    assert not update(world)[READY]["outdated"]
    world.add(READY, {"model.litertlm": bundle_bytes(100_001, seed=5)})
    would = update(world, "--dry-run")[READY]
    assert would["outdated"]
    assert not would["updated"]
    assert not update(world, HF_HUB_OFFLINE="1")[READY]["outdated"], "cannot be known"
    assert update(world)[READY]["updated"]
    assert world.is_published(world.folder(READY) / "model.litertlm", READY)
    pinned = world.hub.commit(READY)
    assert world.run("pull", f"{READY}@{pinned}").code == 0


def test_an_older_conversion_and_a_newer_checkpoint(world: World, tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], world.hub.folder / TINY)
    made = world.run("pull", TINY, "--quantize", "none", "--json")
    assert made.code == 0, made.err
    sha256 = json.loads(made.out)["sha256"]
    older(world, TINY)
    requests = len(world.hub.of("resolve"))
    dry = world.run("update", "--dry-run")
    assert "converted by an older version: answers after /clear" in dry.err
    result = update(world)[TINY]
    assert (result["updated"], result["sha256"]) == (True, sha256), "with the same options"
    assert len(world.hub.of("resolve")) == requests, "the checkpoint on disk is used"
    assert not update(world)[TINY]["outdated"]

    assert world.run("cp", TINY, "mine").code == 0
    older(world, "local/mine")
    copied = update(world, "mine")["local/mine"]
    assert (copied["outdated"], copied["updated"]) == (False, False)
    assert copied["obstacle"] == f"it is a copy: update {TINY}, and copy it again"

    config = json.loads((world.hub.folder / TINY / "generation_config.json").read_text())
    config["temperature"] = 0.123
    world.add(TINY, {"generation_config.json": json.dumps(config)})
    before = len(world.hub.of("cdn"))
    renewed = update(world)[TINY]
    assert renewed["updated"]
    assert renewed["commit"] == world.hub.commit(TINY)
    assert renewed["sha256"] != sha256
    again = [r for r in world.hub.of("cdn")[before:] if "safetensors" in r.path]
    assert [r.range for r in again] == ["bytes=0-65535"], "only the headers of the same weights"


def test_a_model_that_fails_does_not_stop_the_others(world: World) -> None:
    for repo in (READY, "someone/other"):
        world.add(repo, {"model.litertlm": bundle_bytes(1000), "README.md": "1"})
        assert world.run("pull", repo).code == 0
        world.add(repo, {"README.md": "2"})
    world.hub.configure("someone/other", disabled=True)
    ended = world.run("update", "--json")
    assert ended.code != 0
    assert [result["model"] for result in json.loads(ended.out)] == [READY]
    assert "someone/other" in ended.err
