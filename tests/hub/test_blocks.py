"""Large files: several connections, in blocks that are resumed."""

from __future__ import annotations

import re
import time

import pytest
from huggingface_hub import constants

from hub.conftest import World, bundle_bytes
from litertlm.errors import NetworkError
from litertlm.hub import client as hub_client
from litertlm.hub import part as part_module
from litertlm.hub.download import download
from litertlm.hub.info import repo_info
from litertlm.hub.transfer import Transfer
from recorder import Recorder

BLOCK = 100_000
SIZE = 3_050_000
BLOCKS = 31


@pytest.fixture
def small_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A repository with a file of many blocks, for this process."""
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)})
    monkeypatch.setattr(part_module, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(constants, "ENDPOINT", world.hub.url)
    monkeypatch.setenv("no_proxy", "*")
    world.folder("o/x").mkdir(parents=True)
    return world


def pull(world: World) -> None:
    hub = hub_client.HubClient(None, Recorder())
    info = repo_info(hub, "o/x")
    (path,) = download(hub, info, info.files, world.folder("o/x"), Recorder())
    assert world.is_published(path, "o/x")
    assert not (world.folder("o/x") / ".download").exists()


def test_each_block_is_received_once(small_blocks: World) -> None:
    pull(small_blocks)
    ranges = [request.range for request in small_blocks.hub.of("cdn")]
    assert len(ranges) == len(set(ranges)) == BLOCKS
    assert f"bytes=0-{BLOCK - 1}" in ranges
    assert f"bytes={SIZE // BLOCK * BLOCK}-" in ranges
    assert small_blocks.hub.bytes_sent == SIZE


def test_dropped_connections_continue_their_block(small_blocks: World) -> None:
    small_blocks.hub.configure("o/x", truncated={"after": BLOCK // 3, "times": 40})
    pull(small_blocks)
    assert small_blocks.hub.bytes_sent == SIZE


def test_a_server_that_ignores_ranges_sends_the_file_to_one_connection(
    small_blocks: World,
) -> None:
    small_blocks.hub.configure("o/x", ranges=False)
    pull(small_blocks)
    # Each of the first connections asked for a block before one knew; the rest asked for nothing.
    assert len(small_blocks.hub.of("cdn")) < BLOCKS / 2


def test_a_busy_server_is_asked_again(small_blocks: World) -> None:
    flaky = {"status": 503, "times": 3, "where": "cdn", "retry_after": 0}
    small_blocks.hub.configure("o/x", flaky=flaky)
    pull(small_blocks)


def test_a_wrong_hash_is_downloaded_once_more(small_blocks: World) -> None:
    small_blocks.hub.configure("o/x", hashes={"x.litertlm": "0" * 64})
    with pytest.raises(NetworkError, match=r"hash of x\.litertlm .* is wrong"):
        pull(small_blocks)
    assert small_blocks.hub.bytes_sent == 2 * SIZE
    assert small_blocks.bundles("o/x") == []


def test_a_thread_that_is_late_does_not_receive_its_block_for_the_second_try(
    small_blocks: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, late = Transfer._receive_range, []

    def receive_and_wait(transfer: Transfer, start: int, end: int, *, alone: bool) -> None:
        receive(transfer, start, end, alone=alone)
        if start == 0 and not late:
            late.append(True)
            while len(small_blocks.hub.of("cdn")) <= BLOCKS:  # until the second try
                time.sleep(0.001)

    monkeypatch.setattr(Transfer, "_receive_range", receive_and_wait)
    small_blocks.hub.configure("o/x", hashes={"x.litertlm": "0" * 64})
    with pytest.raises(NetworkError, match=r"hash of x\.litertlm .* is wrong"):
        pull(small_blocks)
    assert late
    assert len(small_blocks.hub.of("cdn")) == 2 * BLOCKS


@pytest.mark.parametrize("held", [0.05, 0.4, 0.9])
def test_killed_and_resumed(world: World, held: float) -> None:
    """The real program and the real size of blocks."""
    size = 5 * part_module.BLOCK_BYTES // 2
    world.add("o/x", {"x.litertlm": bundle_bytes(size)})
    world.hub.configure("o/x", hold=int(held * size))
    process = world.start("pull", "o/x")
    while world.hub.bytes_sent < int(held * size) or len(world.hub.of("cdn")) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert world.bundles("o/x") == []
    (part,) = world.folder("o/x").glob(".download/*.part")
    there = part_module.received_bytes(part, size)
    before = len(world.hub.of("cdn"))
    world.hub.configure("o/x")
    done = world.run("pull", "o/x", "--verbose")
    assert done.code == 0, done.err
    (path,) = world.bundles("o/x")
    assert world.is_published(path, "o/x")
    if there:
        assert re.search(rf"^{there:,} bytes are on disk already", done.err, re.M)
    # Only what was on its way when the process died is requested twice.
    ranges = [request.range or "bytes=0-" for request in world.hub.of("cdn")[before:]]
    ends = [text.removeprefix("bytes=").split("-") for text in ranges]
    assert sum(int(end or size - 1) + 1 - int(start) for start, end in ends) == size - there


def test_a_new_commit_begins_again(world: World) -> None:
    size = 5 * part_module.BLOCK_BYTES // 2
    world.add("o/x", {"x.litertlm": bundle_bytes(size)})
    world.kill_in_download("o/x", size // 2)
    world.add("o/x", {"x.litertlm": bundle_bytes(size, 2)})
    world.hub.configure("o/x")
    done = world.run("pull", "o/x")
    assert done.code == 0, done.err
    (path,) = world.bundles("o/x")
    assert world.is_published(path, "o/x")
    assert not (world.folder("o/x") / ".download").exists()
