"""The child's side: orders from the parent, and an end with it."""

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

Orders = Iterator[dict[str, Any]]


def obey(work: Callable[[Orders], Mapping[str, Any]]) -> None:
    """Print what `work` makes of the parent's orders, and end the process.

    The parent keeps the pipe of orders open until it has its answer, so that its end is seen
    here however it ends; the folder that they share goes then.
    """
    # Ctrl-C reaches both; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            orders.put(json.loads(line))
        shutil.rmtree(sys.argv[1], ignore_errors=True)
        os._exit(1)

    threading.Thread(target=listen, name="orders", daemon=True).start()
    code = 0
    try:
        sys.stdout.write(json.dumps(work(iter(orders.get, None))))
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  (whatever it is, the parent tells it)
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.stderr.flush()
        code = 1
    # The parent may be gone by now, and with it whoever would remove the folder.
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    # The runtime would take its time to free what the operating system frees at once.
    os._exit(code)
