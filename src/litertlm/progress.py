"""How services report what they do; cli/output.py draws it, tests record it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """A running piece of work that is measured in bytes."""

    def advance(self, nbytes: int) -> None:
        """`nbytes` more are done (negative: are to be done again); safe to call from several
        threads."""


class Progress(Protocol):
    """Receives what a user wants to see while a service works. Nothing here is data."""

    def status(self, text: str) -> None:
        """A line that stays (stderr)."""

    def detail(self, text: str) -> None:
        """A line that only `--verbose` shows (stderr)."""

    def warn(self, text: str) -> None:
        """Something the user should know (stderr)."""

    def task(self, label: str, total_bytes: int) -> AbstractContextManager[Task]:
        """A bar with bytes, rate and time left; it is removed when the context ends. Several may
        be there at once."""

    def waiting(
        self, reason: str, seconds: float, *, requested: bool
    ) -> AbstractContextManager[None]:
        """Work pauses inside of the context, which is shown; safe to enter from several threads.

        Args:
            reason: one sentence, what happened.
            requested: whether a server asked for this pause.
        """


class SilentProgress:
    """Progress that nobody sees."""

    def status(self, text: str) -> None:
        """Nothing."""

    detail = warn = status

    def task(self, label: str, total_bytes: int) -> AbstractContextManager[Task]:
        """A task that shows nothing."""
        return nullcontext(_SilentTask())

    def waiting(
        self, reason: str, seconds: float, *, requested: bool
    ) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()


class _SilentTask:
    def advance(self, nbytes: int) -> None:
        """Nothing."""
