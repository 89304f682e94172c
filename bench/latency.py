"""Latency of a chat, measured at the other end of its terminal.

    python bench/latency.py [--rounds 20]

Measures three times in a pseudo-terminal, with the demo model on disk:
- from the start of the process to the first visible output;
- from the start of the process to a prompt that accepts input;
- from the moment the runtime delivers the first piece of an answer (in its own thread, before the
  program's Python code sees it) until its first character can be read from the terminal. Both are
  `time.monotonic`, which is the same clock in all processes. The limit is 50 ms.
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
READY = b"\x1b[?2004h"  # bracketed paste is enabled: the prompt accepts input
WHERE_IS_THE_CURSOR = b"\x1b[6n"
DELIVERIES = "BENCH_DELIVERIES"  # file descriptor that the child writes delivery times to


class TimedProgram:
    """A program on a pseudo-terminal, with the time of each of its outputs."""

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
        """Read until `condition` is true; fail after 60 seconds without output."""
        while not condition():
            ready, _, _ = select.select([self._terminal], [], [], 60)
            now = time.monotonic()
            data = os.read(self._terminal, 65536) if ready else b""
            if not data:
                raise SystemExit("The program printed nothing for 60 seconds.")
            self.chunks.append((now, data))
            if WHERE_IS_THE_CURSOR in data:
                os.write(self._terminal, b"\x1b[1;1R")

    def shown(self, since: int = 0) -> bytes:
        """The output, starting with chunk number `since`."""
        return b"".join(data for _, data in self.chunks[since:])

    def ask(self, question: str) -> float:
        """Milliseconds from the delivery of an answer's first piece until it can be read here."""
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
        """Kill the program."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)
        os.close(self._deliveries)

    def _forget_deliveries(self) -> None:
        while select.select([self._deliveries], [], [], 0)[0]:
            os.read(self._deliveries, 65536)


def child() -> None:
    """Run the program, and report when the runtime delivers pieces of an answer."""
    import queue
    from types import SimpleNamespace

    from litert_lm import session

    descriptor = int(os.environ[DELIVERIES])

    class ReportingQueue(queue.Queue):  # type: ignore[type-arg]
        def put(self, item: object, *more: object) -> None:
            now = time.monotonic()
            if isinstance(item, tuple):
                text = str(item[0]).replace("\n", " ")
                os.write(descriptor, f"{now} {text}\n".encode())
            super().put(item)

    session.queue = SimpleNamespace(Queue=ReportingQueue)
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
            plain = TimedProgram([sys.executable, "-c", "print(1)"], variables)
            plain.wait(lambda: bool(plain.chunks))  # noqa: B023
            plain.end()
            program_run = TimedProgram([*program, *chat], variables)
            program_run.wait(lambda: READY in program_run.shown())  # noqa: B023
            program_run.end()
            if number:  # the first run creates the runtime's cache
                floor.append((plain.chunks[0][0] - plain.began) * 1000)
                visible.append((program_run.chunks[0][0] - program_run.began) * 1000)
                usable.append((program_run.chunks[-1][0] - program_run.began) * 1000)
        program_run = TimedProgram(
            [sys.executable, __file__, *chat], {**variables, "BENCH_CHILD": "1"}
        )
        program_run.wait(lambda: READY in program_run.shown())
        for number in range(rounds):
            first.append(program_run.ask(QUESTIONS[number % len(QUESTIONS)]))
        program_run.end()
    print("| from | to | median ms | min | max |\n|---|---|---|---|---|")
    print(f"| start of `python -c 'print(1)'` | its output | {milliseconds(floor)} |")
    print(f"| start | first output visible | {milliseconds(visible)} |")
    print(f"| start | prompt | {milliseconds(usable)} |")
    print(f"| delivery by the runtime | first character visible | {milliseconds(first)} |")
    return int(max(first) > LIMIT_MS)


if __name__ == "__main__":
    if os.environ.pop("BENCH_CHILD", ""):
        child()
    else:
        sys.exit(main())
