"""The worker's side: requests from the parent, until the parent ends."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

Requests = Iterator[dict[str, Any]]


def answer_once(work: Callable[[Requests], Mapping[str, Any]]) -> NoReturn:
    """Print the result of `work` for the parent's requests, and end the process."""
    _answer(lambda requests: _print(work(requests)))


def answer_each(work: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> NoReturn:
    """Print the result of `work` for each request, until the parent ends."""

    def answers(requests: Requests) -> None:
        for request in requests:
            _print(work(request))

    _answer(answers)


def _answer(answers: Callable[[Requests], None]) -> NoReturn:
    """The parent keeps the pipe of requests open until it needs no more answers.

    When it ends, in whatever way, the pipe closes; then the shared folder is removed and this
    process ends.
    """
    # Ctrl-C reaches both; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        _exit(1)

    threading.Thread(target=listen, name="requests", daemon=True).start()
    try:
        answers(json.loads(line) for line in iter(lines.get, b""))
    except Exception as error:  # noqa: BLE001  (the parent reports it)
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.stderr.flush()
        _exit(1)
    _exit(0)


def _print(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _exit(code: int) -> NoReturn:
    # The parent, which would remove the shared folder, may have ended by now.
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)
    # The runtime would free slowly what the operating system frees at once.
    os._exit(code)
