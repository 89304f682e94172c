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
from typing import Any

Requests = Iterator[dict[str, Any]]


def serve(work: Callable[[Requests], Mapping[str, Any]]) -> None:
    """Print the result of `work` for the parent's requests, and end the process.

    The parent keeps the pipe of requests open until it has its answer. When it ends, in whatever
    way, the pipe closes; then the shared folder is removed and this process ends.
    """
    # Ctrl-C reaches both; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        shutil.rmtree(sys.argv[1], ignore_errors=True)
        os._exit(1)

    threading.Thread(target=listen, name="requests", daemon=True).start()
    code = 0
    try:
        sys.stdout.write(json.dumps(work(iter(requests.get, None))))
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  (the parent reports it)
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.stderr.flush()
        code = 1
    # The parent, which would remove the folder, may have ended by now.
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    # The runtime would free slowly what the operating system frees at once.
    os._exit(code)
