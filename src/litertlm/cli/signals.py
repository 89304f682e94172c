"""SIGINT, SIGTERM and SIGHUP as one exception."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, NoReturn

# Windows has no SIGHUP.
TERMINATING: tuple[int, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_REPEAT_S = 0.01


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP.

    A subclass, because a bare KeyboardInterrupt that propagates through `exec` of a string (every
    dataclass definition is one) makes CPython exit by SIGINT even if it was caught.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def install() -> None:
    """Make the signals raise `Interrupted`, except those that are ignored (nohup)."""
    sys.unraisablehook = _repeat_lost
    for number in TERMINATING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore() -> None:
    """Ignore further signals while the program exits."""
    for number in TERMINATING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def on_ctrl_c(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle Ctrl-C with `handler` inside the context."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def deferred(received: Callable[[], None]) -> Iterator[None]:
    """Handle signals at the end of the context, which `received` is to end soon.

    For code that an exception at any point would break, such as an event loop: asyncio reports the
    exception to prompt_toolkit, which then waits for Enter.
    """
    arrived: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        received()

    before: dict[int, Callable[[int, FrameType | None], Any]] = {}
    for terminating in TERMINATING:
        handler = signal.getsignal(terminating)
        if callable(handler):
            before[terminating] = handler
            signal.signal(terminating, remember)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived[:1]:
            before[number](number, None)


def ignore_ctrl_c() -> AbstractContextManager[None]:
    """Ignore Ctrl-C inside the context, for work that must not stop halfway."""
    return on_ctrl_c(lambda number, frame: None)


def ctrl_c_ends_program() -> AbstractContextManager[None]:
    """Let Ctrl-C end the program, where it would otherwise only stop the answer."""
    return on_ctrl_c(_raise)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def _repeat_lost(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a signal whose exception Python dropped, since it was raised in a `__del__`, a weakref
    callback or a generator that was being freed."""
    if isinstance(lost.exc_value, Interrupted):
        number, caller = lost.exc_value.number, threading.get_ident()
        threading.Thread(target=_repeat, args=(number, caller), daemon=True).start()
    else:
        sys.__unraisablehook__(lost)


def _repeat(number: int, caller: int) -> None:
    """Send the signal again when the thread `caller` has left `_repeat_lost`, whose exceptions
    Python drops as well."""
    inside = True
    while inside:
        time.sleep(_REPEAT_S)
        frame, inside = sys._current_frames().get(caller), False
        while frame is not None:
            inside |= frame.f_code is _repeat_lost.__code__
            frame = frame.f_back
    os.kill(os.getpid(), number)
