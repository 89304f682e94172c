"""Without a network: what is on disk runs, and what is not is told at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from hub.conftest import World, bundle_bytes
from hub.test_downloads import fill_cache, publish_tiny

# Each of these must end by itself, and soon: a minute is a failure.
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def closed_port() -> int:
    """A port that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


NOT_ON_DISK = "o/other"


def assert_unreachable(world: World, *words: str, **environment: str) -> None:
    """A model on disk is there all the same; another one ends with exit code 5."""
    known = world.run("pull", "o/x", **environment)
    assert known.code == 0
    assert "✓ Model already exists" in known.err
    done = world.run("pull", NOT_ON_DISK, **environment)
    assert done.code == 5
    for word in words:
        assert word in done.err
    assert not world.folder(NOT_ON_DISK).exists()


@pytest.fixture
def one_on_disk(world) -> World:
    world.add("o/x", {"x.litertlm": bundle_bytes(900)})
    world.add(NOT_ON_DISK, {"x.litertlm": bundle_bytes(900)})
    assert world.run("pull", "o/x").code == 0
    world.hub.requests.clear()
    return world


def test_switched_off(one_on_disk):
    assert_unreachable(one_on_disk, "HF_HUB_OFFLINE is set", HF_HUB_OFFLINE="1")
    assert one_on_disk.hub.requests == []


def test_no_route(one_on_disk, closed_port):
    endpoint = f"http://127.0.0.1:{closed_port}"
    assert_unreachable(one_on_disk, "Cannot reach 127.0.0.1.", HF_ENDPOINT=endpoint)


def test_name_that_does_not_resolve(one_on_disk):
    endpoint = "http://hub.invalid"
    assert_unreachable(one_on_disk, "Cannot reach hub.invalid.", HF_ENDPOINT=endpoint)


def test_server_that_never_answers(one_on_disk, silent_port):
    endpoint = f"http://127.0.0.1:{silent_port}"
    one_on_disk.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "2"
    assert_unreachable(one_on_disk, "Cannot reach 127.0.0.1.", HF_ENDPOINT=endpoint)


def test_proxy_that_refuses(one_on_disk, closed_port):
    proxy = f"http://user:pAsSwOrD@127.0.0.1:{closed_port}"
    proxied = {"http_proxy": proxy, "no_proxy": "", "NO_PROXY": ""}
    done = one_on_disk.run("pull", NOT_ON_DISK, "--verbose", **proxied)
    assert done.code == 5
    assert "pAsSwOrD" not in done.err


def test_login_page_in_place_of_the_hub(one_on_disk):
    one_on_disk.hub.configure(NOT_ON_DISK, answer="<html>Please log in.</html>")
    done = one_on_disk.run("pull", NOT_ON_DISK)
    assert done.code == 5
    assert "127.0.0.1 does not answer like a Hugging Face Hub." in done.err


@pytest.mark.parametrize("endpoint", ["not an address", "ftp://x"])
def test_endpoint_that_is_no_address(one_on_disk, endpoint):
    done = one_on_disk.run("pull", NOT_ON_DISK, HF_ENDPOINT=endpoint)
    assert done.code in (2, 5)
    assert "Internal error" not in done.err


def test_hugging_face_cache_serves_without_a_network(world, closed_port):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)})
    names = [p.name for p in publish_tiny(world, "org/tiny").glob("*.*")]
    unwanted = {"pytorch_model.bin", "consolidated.safetensors", "modeling_x.py", "vocab.json"}
    fill_cache(world, "o/x", "x.litertlm")
    fill_cache(world, "org/tiny", *(n for n in names if n not in unwanted))
    commit = world.hub.commit("org/tiny")
    assert world.run("pull", "o/x", HF_HUB_OFFLINE="1").code == 0
    done = world.run("pull", "org/tiny", "--json", HF_ENDPOINT=f"http://127.0.0.1:{closed_port}")
    assert done.code == 0, done.err
    assert "Using the files in the Hugging Face cache." in done.err
    assert json.loads(done.out)["commit"] == commit
    assert world.hub.requests == []


def test_part_of_a_repository_in_the_cache_is_not_enough(world):
    publish_tiny(world, "org/tiny")
    fill_cache(world, "org/tiny", "config.json")
    done = world.run("pull", "org/tiny", HF_HUB_OFFLINE="1")
    assert done.code == 5
    assert "HF_HUB_OFFLINE is set" in done.err
