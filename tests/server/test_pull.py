"""Pulls that clients ask for: shared, stopped with the last client, ended by signals."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hub.conftest import NO_PROXIES, bundle_bytes
from hub.server import HubServer
from server.conftest import running
from server.test_server_process import post, workers_of
from stopping import wait_until

REPO, SIZE = "org/model", 3_000_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "hub"
    (folder / REPO).mkdir(parents=True)
    (folder / REPO / "model.litertlm").write_bytes(bundle_bytes(SIZE))
    with HubServer(folder) as server:
        server.configure(REPO, hold=SIZE // 2)
        yield server


class Pulling:
    """A client of `/api/pull`, and what it has read."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port)
        self.connection.request("POST", "/api/pull", json.dumps({"model": REPO}))
        self.answer = self.connection.getresponse()
        self.lines: list[dict[str, Any]] = []

    def read_until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        while not (self.lines and wanted(self.lines[-1])):
            self.lines.append(json.loads(self.answer.readline()))

    def leave(self) -> None:
        self.answer.close()
        self.connection.close()


def some_bytes(line: dict[str, Any]) -> bool:
    return bool(line.get("completed"))


def succeeded(line: dict[str, Any]) -> bool:
    return line["status"] == "success"


def test_a_pull_is_shared_and_stops_when_its_last_client_leaves(
    hub: HubServer, tmp_path: Path
) -> None:
    server = running(tmp_path, HF_ENDPOINT=hub.url, **NO_PROXIES)
    with server as url:
        first, second = Pulling(url), Pulling(url)
        first.read_until(some_bytes)
        second.read_until(some_bytes)
        (process,) = workers_of(server.process.pid)
        first.leave()
        assert post(f"{url}/api/show", {"model": REPO})[0] == 404
        assert workers_of(server.process.pid) == [process]
        second.leave()
        wait_until(
            lambda: not workers_of(server.process.pid), server.process, "the pull was stopped"
        )
        hub.configure(REPO)
        third = Pulling(url)
        third.read_until(succeeded)
        third.leave()
        sizes = [(line["completed"], line["total"]) for line in third.lines if "total" in line]
        assert sizes == sorted(sizes)
        completed, total = sizes[-1]
        # The first half was not downloaded again, but for what was in the pipes.
        assert SIZE / 2 <= completed == total < SIZE
        (bundle,) = (tmp_path / "models" / REPO).glob("*.litertlm")
        assert bundle.read_bytes() == bundle_bytes(SIZE)


def test_a_signal_ends_a_pull(hub: HubServer, tmp_path: Path) -> None:
    server = running(tmp_path, HF_ENDPOINT=hub.url, **NO_PROXIES)
    with server as url:
        client = Pulling(url)
        client.read_until(some_bytes)
        (process,) = workers_of(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert not Path(f"/proc/{process}").exists()
        client.leave()


def test_a_pull_that_fails_says_why(hub: HubServer, tmp_path: Path) -> None:
    with running(tmp_path, HF_ENDPOINT=hub.url, **NO_PROXIES) as url:
        code, body = post(f"{url}/api/pull", {"model": "no/such", "stream": False})
        assert (code, "no/such" in body["error"]) == (404, True)
