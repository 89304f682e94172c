"""Downloads that are too slow, and parts of a file that are not the requested ones."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from huggingface_hub import constants

from hub.conftest import World, bundle_bytes
from litertlm.errors import NetworkError
from litertlm.hub import client as hub_client
from litertlm.hub.download import download
from litertlm.hub.info import repo_info
from recorder import Recorder

SIZE = 3_000_000


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A Hub that sends 2,000 bytes a second, for this process."""
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)}, slow=2000)
    monkeypatch.setattr(constants, "ENDPOINT", world.hub.url)
    monkeypatch.setenv("no_proxy", "*")
    world.folder("o/x").mkdir(parents=True)
    return world


def pull(world: World, progress: Recorder, window_s: float) -> None:
    hub = hub_client.HubClient(None, progress, min_speed=10_000, slow_window_s=window_s)
    info = repo_info(hub, "o/x")
    download(hub, info, info.files, world.folder("o/x"), progress)


def test_a_download_that_stays_slow_ends(slow: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "TRIES", 3)
    with pytest.raises(NetworkError, match="stalled"):
        pull(slow, Recorder(), 0.2)
    assert len(slow.hub.of("cdn")) == 3
    assert slow.bundles("o/x") == []


def test_a_slow_download_is_tried_again_and_resumed(slow: World) -> None:
    class Recovering(Recorder):
        def waiting(
            self, reason: str, seconds: float, *, requested: bool
        ) -> AbstractContextManager[None]:
            if "stalled" in reason:
                slow.hub.configure("o/x")
            return super().waiting(reason, seconds, requested=requested)

    # A window that is longer than what a loaded machine lets a process wait.
    pull(slow, Recovering(), 2.0)
    first, second = slow.hub.of("cdn")
    assert first.range is None
    assert second.range is not None
    (path,) = slow.bundles("o/x")
    assert slow.is_published(path, "o/x")


def test_the_minimum_is_read_from_the_environment(world: World) -> None:
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)})
    done = world.run("pull", "o/x", LITERT_LM_MIN_DOWNLOAD_SPEED="fast")
    assert done.code == 2
    assert "LITERT_LM_MIN_DOWNLOAD_SPEED" in done.err
    assert world.run("pull", "o/x", LITERT_LM_MIN_DOWNLOAD_SPEED="0").code == 0


@pytest.mark.parametrize(
    "told", ["bytes 0-2999999/3000000", "bytes 99999999-99999999/*", "bytes */3000000", "", None]
)
def test_a_part_that_was_not_requested_is_refused(world: World, told: str | None) -> None:
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)})
    truncated = {"after": SIZE // 3, "times": 1}
    world.hub.configure("o/x", truncated=truncated, content_range=told)
    done = world.run("pull", "o/x")
    assert done.code == 5, done.err
    assert "sent a wrong part of a file" in done.err
    assert f"Bytes {SIZE // 3}- were requested" in done.err
    assert world.bundles("o/x") == []
