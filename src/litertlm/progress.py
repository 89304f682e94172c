"""How services report what they do; cli/output.py draws it, tests record it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Task(Protocol):
    """A running piece of work that is measured in bytes."""

    def advance(self, nbytes: int) -> None:
        """`nbytes` more are done; safe to call from several threads."""


class Progress(Protocol):
    """Receives what a user wants to see while a service works. Nothing here is data."""

    def status(self, text: str) -> None:
        """A line that stays (stderr)."""

    def detail(self, text: str) -> None:
        """A line that only `--verbose` shows (stderr)."""

    def warn(self, text: str) -> None:
        """Something the user should know (stderr)."""

    def task(self, label: str, total_bytes: int) -> AbstractContextManager[Task]:
        """A bar with bytes, rate and time left; it is removed when the context ends."""
