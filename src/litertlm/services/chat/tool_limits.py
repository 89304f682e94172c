"""What is checked about a call of a function, and how long it may take."""

from __future__ import annotations

import inspect
import signal
import threading
import types
import typing
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")
_REPEAT_S = 1.0  # for functions that catch everything


class ToolTimeout(BaseException):
    """A function took too long. A BaseException, which the function's own `except Exception` does
    not catch.
    """


class ToolInterrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C while a function ran.

    A subclass, because functions can raise KeyboardInterrupt themselves.
    """


def with_time_limit(function: Callable[[], _T], seconds: float) -> _T:
    """`function()`, interrupted by SIGALRM after `seconds`.

    A signal and not a thread: a thread cannot be ended, and some libraries (sqlite3) want the
    thread in which the file was loaded. Native code is interrupted when it returns to Python.

    Raises:
        ToolTimeout: time is up.
        RuntimeError: this is not the main thread, the only one that gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a time limit needs the main thread")

    def expire(number: int, frame: FrameType | None) -> NoReturn:
        raise ToolTimeout

    before = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_S)
        return function()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def argument_error(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Why a function cannot be called with these arguments; None if it can.

    Values are compared with the annotations that JSON can express; any value fits the others.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        return f"TypeError: {error}"
    hints = typing.get_type_hints(function)
    for name, value in arguments.items():
        if name not in hints or (value is None and signature.parameters[name].default is None):
            continue
        if not _fits(value, hints[name]):
            wanted = inspect.formatannotation(hints[name])
            return f"TypeError: argument {name!r} must be {wanted}, not {value!r:.100}"
    return None


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    kind = origin or hint
    if kind is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value if parts)
    if kind is dict:
        values = value.values() if isinstance(value, dict) else ()
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in values if parts)
    if kind is float:
        return type(value) in (int, float)
    if kind in (int, str, bool, types.NoneType):
        return type(value) is kind
    return True
