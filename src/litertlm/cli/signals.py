"""Signals that end the program, as one exception."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, NoReturn

_TERMINATING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP.

    A class of its own: a bare KeyboardInterrupt that passes through `exec` of a string (every
    dataclass does that) makes CPython end by SIGINT even when it was caught.
    """


def install() -> None:
    """From now on the signals raise `Interrupted`; those that are ignored (nohup) stay so."""
    for number in _TERMINATING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore() -> None:
    """The program is ending: let it say so in peace."""
    for number in _TERMINATING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def on_ctrl_c(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Ctrl-C does what `handler` does, for a while."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ignore_ctrl_c() -> AbstractContextManager[None]:
    """Ctrl-C does nothing: what goes on here must come to its end."""
    return on_ctrl_c(lambda number, frame: None)


def ctrl_c_ends_program() -> AbstractContextManager[None]:
    """Ctrl-C ends the program, also where it would end an answer."""
    return on_ctrl_c(_raise)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted
