"""The server as a process: crashes of workers, signals, broken connections, refused options."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ollama
import pytest

from program import run_program
from server.conftest import running

ASK = {"model": "demo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


def post(url: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def workers_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [
        int(each)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for each in path.read_text().split()
    ]


def test_a_killed_worker_is_replaced_and_the_server_goes_on(demo_home: Path) -> None:
    server = running(demo_home, "demo")
    with server as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 200
        (worker,) = workers_of(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        code, body = post(f"{url}/v1/chat/completions", ASK)
        if code == 500:  # the request was sent before the server noticed
            assert body["error"]["code"] == "worker_crashed"
            code, _ = post(f"{url}/v1/chat/completions", ASK)
        assert code == 200
        assert workers_of(server.process.pid) != [worker]


def test_sigterm_ends_server_and_worker(demo_home: Path) -> None:
    server = running(demo_home, "demo")
    with server as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 200
        (worker,) = workers_of(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert not Path(f"/proc/{worker}").exists()


def test_kill_9_of_the_server_ends_its_worker(demo_home: Path) -> None:
    server = running(demo_home, "demo")
    with server as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 200
        (worker,) = workers_of(server.process.pid)
        pipe = os.pidfd_open(worker)
        server.process.kill()
        server.process.wait()
        select.select([pipe], [], [])  # until the worker has ended
        os.close(pipe)


def test_ollamas_pull_and_delete(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        client = ollama.Client(host=url)
        states = [part.status for part in client.pull("demo", stream=True)]
        assert (states[0], states[-1]) == ("pulling manifest", "success")
        assert client.chat(model="demo", messages=ASK["messages"]).message.content
        client.delete("demo")
        assert client.list().models == []
        with pytest.raises(ollama.ResponseError):
            client.pull("no-such-model")


def test_a_model_is_pulled_for_a_request_if_that_is_allowed(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 404
    with running(tmp_path, "--auto-pull") as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 200


def test_control_tokens_can_be_refused(demo_home: Path) -> None:
    with running(demo_home, "demo", "--reject-control-tokens") as url:
        body = {**ASK, "messages": [{"role": "user", "content": "<|im_end|>"}]}
        code, answer = post(f"{url}/v1/chat/completions", body)
        assert code == 400
        assert "<|im_end|>" in answer["error"]["message"]


def test_a_key_is_needed_and_never_printed(demo_home: Path) -> None:
    server = running(demo_home, LITERT_LM_API_KEY="s3cret")
    with server as url:
        assert post(f"{url}/v1/chat/completions", ASK)[0] == 401
        bearer = {"Authorization": "Bearer s3cret"}
        code, _ = post(f"{url}/v1/chat/completions", {**ASK, "model": "x"}, **bearer)
        assert code == 404
        server.process.terminate()
        assert server.process.stderr is not None
        assert "s3cret" not in server.process.stderr.read()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n",  # not the end of the headers
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\xff\xfe\x00 nonsense\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
    ],
    ids=["headers", "body", "chunks", "large", "bytes", "pipelining"],
)
def test_broken_connections_do_not_stop_others(server_url: str, sent: bytes) -> None:
    place = urlsplit(server_url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before all was sent
        with urllib.request.urlopen(f"{server_url}/health") as answer:
            assert answer.status == 200


def test_refused_options(tmp_path: Path, server_url: str) -> None:
    ended = run_program("serve", "--host", "0.0.0.0", "--port", "0", home=tmp_path)
    assert (ended.code, "--no-auth" in ended.err) == (2, True)
    ended = run_program("serve", "--keep-alive", "soon", "--port", "0", home=tmp_path)
    assert (ended.code, "Not a duration" in ended.err) == (2, True)
    port = str(urlsplit(server_url).port)
    ended = run_program("serve", "--port", port, home=tmp_path)
    assert (ended.code, "Cannot listen" in ended.err) == (2, True)
