"""What a user of a chat waits for, seen from the other side of its terminal.

    python bench/latency.py [--rounds 20]

Three times, on the demo model with everything on disk, in a pseudo-terminal:
- from the start of the process to the first thing that is visible;
- from there to a prompt line that takes keys;
- from the moment the runtime hands over the first piece of an answer (in its own thread, before
  any Python of the program has seen it) to the moment its first character can be read from the
  terminal. Both are `time.monotonic`, which is one clock for all processes. The limit is 50 ms.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_MS = 50.0
QUESTIONS = (
    "What is the capital of Germany?",
    "List three fruits.",
    "What is 2+2?",
    "Write a poem about the sea.",
)
READY = b"\x1b[?2004h"  # bracketed paste is switched on: the prompt line takes keys
WHERE_IS_THE_CURSOR = b"\x1b[6n"
DELIVERIES = "BENCH_DELIVERIES"  # file descriptor that the child writes delivery times to


class Watched:
    """A program on a terminal, and when it wrote what."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self._deliveries, deliveries = os.pipe()
        os.set_inheritable(deliveries, True)
        self.began = time.monotonic()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**variables, DELIVERIES: str(deliveries)})
        os.close(deliveries)
        self.chunks: list[tuple[float, bytes]] = []

    def wait(self, condition: Callable[[], bool]) -> None:
        """Read until `condition` holds, or nothing has come for a long time."""
        while not condition():
            ready, _, _ = select.select([self._terminal], [], [], 60)
            now = time.monotonic()
            data = os.read(self._terminal, 65536) if ready else b""
            if not data:
                raise SystemExit("The program went quiet.")
            self.chunks.append((now, data))
            if WHERE_IS_THE_CURSOR in data:
                os.write(self._terminal, b"\x1b[1;1R")

    def shown(self, since: int = 0) -> bytes:
        """What came, from a chunk on."""
        return b"".join(data for _, data in self.chunks[since:])

    def ask(self, question: str) -> float:
        """Milliseconds from the first delivery of an answer to its first character here."""
        mark = len(self.chunks)
        os.write(self._terminal, question.encode() + b"\r")
        self.wait(lambda: READY in self.shown(mark))
        while True:
            line = b""
            while not line.endswith(b"\n"):
                line += os.read(self._deliveries, 1)
            moment, _, text = line.decode().rstrip("\n").partition(" ")
            if text and not text.isspace():
                break
        self._forget_deliveries()
        first = text.strip()[:1].encode()
        delivered = float(moment)
        seen = next(at for at, data in self.chunks[mark:] if at >= delivered and first in data)
        return (seen - delivered) * 1000

    def end(self) -> None:
        """Leave the program."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)
        os.close(self._deliveries)

    def _forget_deliveries(self) -> None:
        while select.select([self._deliveries], [], [], 0)[0]:
            os.read(self._deliveries, 65536)


def child() -> None:
    """Be the program, and tell when the runtime delivers."""
    import queue
    from types import SimpleNamespace

    from litert_lm import session

    descriptor = int(os.environ[DELIVERIES])

    class Told(queue.Queue):  # type: ignore[type-arg]
        def put(self, item: object, *more: object) -> None:
            now = time.monotonic()
            if isinstance(item, tuple):
                text = str(item[0]).replace("\n", " ")
                os.write(descriptor, f"{now} {text}\n".encode())
            super().put(item)

    session.queue = SimpleNamespace(Queue=Told)
    from litertlm.__main__ import run

    sys.exit(run())


def milliseconds(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            **os.environ,
            "HOME": folder,
            "LITERT_LM_MODELS": str(Path(folder) / "models"),
            "TERM": "xterm-256color",
        }
        program = [sys.executable, "-m", "litertlm"]
        pull = os.spawnve(
            os.P_WAIT, sys.executable, [*program, "--quiet", "pull", "demo"], variables
        )
        if pull:
            return pull
        chat = ["run", "demo", "--no-history", "--max-tokens", "12"]
        floor, visible, usable, first = [], [], [], []
        for number in range(rounds + 1):
            plain = Watched([sys.executable, "-c", "print(1)"], variables)
            plain.wait(lambda: bool(plain.chunks))  # noqa: B023
            plain.end()
            watched = Watched([*program, *chat], variables)
            watched.wait(lambda: READY in watched.shown())  # noqa: B023
            watched.end()
            if number:  # the first makes the runtime's cache
                floor.append((plain.chunks[0][0] - plain.began) * 1000)
                visible.append((watched.chunks[0][0] - watched.began) * 1000)
                usable.append((watched.chunks[-1][0] - watched.began) * 1000)
        watched = Watched([sys.executable, __file__, *chat], {**variables, "BENCH_CHILD": "1"})
        watched.wait(lambda: READY in watched.shown())
        for number in range(rounds):
            first.append(watched.ask(QUESTIONS[number % len(QUESTIONS)]))
        watched.end()
    print("| from | to | median ms | least | most |\n|---|---|---|---|---|")
    print(f"| start of `python -c 'print(1)'` | its output | {milliseconds(floor)} |")
    print(f"| start | first words visible | {milliseconds(visible)} |")
    print(f"| start | prompt line | {milliseconds(usable)} |")
    print(f"| delivery by the runtime | first character visible | {milliseconds(first)} |")
    return int(max(first) > LIMIT_MS)


if __name__ == "__main__":
    if os.environ.pop("BENCH_CHILD", ""):
        child()
    else:
        sys.exit(main())
