"""A `Progress` that remembers, for tests of services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class RecordedTask:
    label: str
    total_bytes: int
    done: int = 0

    def advance(self, nbytes: int) -> None:
        self.done += nbytes


@dataclass
class Recorder:
    """What a user would have seen: `lines` as they came, `tasks` with the bytes done."""

    lines: list[str] = field(default_factory=list)
    tasks: list[RecordedTask] = field(default_factory=list)

    def status(self, text: str) -> None:
        self.lines.append(text)

    def detail(self, text: str) -> None:
        self.lines.append(f"(detail) {text}")

    def warn(self, text: str) -> None:
        self.lines.append(f"! {text}")

    @contextlib.contextmanager
    def waiting(self, reason: str, seconds: float, *, requested: bool) -> Iterator[None]:
        self.lines.append(f"(waiting {seconds:g} s) {reason}")
        yield

    @contextlib.contextmanager
    def task(self, label: str, total_bytes: int) -> Iterator[RecordedTask]:
        task = RecordedTask(label, total_bytes)
        self.tasks.append(task)
        yield task
