"""Terminal modes during a chat, and their restoration."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Bracketed paste off, cursor visible, default style.
_RESET_MODES = "\x1b[?2004l\x1b[?25h\x1b[0m"


@contextmanager
def restore_terminal() -> Iterator[None]:
    """Restore the terminal's modes at exit, also when a signal interrupts the input."""
    try:
        import termios
    except ImportError:  # Windows, where prompt_toolkit restores the console
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.write(number, _RESET_MODES.encode())
        raise
    finally:
        # The terminal may have been closed.
        with suppress(termios.error, OSError):
            termios.tcsetattr(number, termios.TCSADRAIN, before)


@contextmanager
def echo(on: bool) -> Iterator[None]:
    """Turn echo and line mode of the terminal on or off.

    Off during an answer: what is typed then becomes input of the next prompt. In line mode, the
    terminal drops input beyond 4096 bytes of a line; otherwise the sender waits.
    """
    try:
        import termios
    except ImportError:
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    changed = termios.tcgetattr(number)
    modes = termios.ECHO | termios.ICANON
    changed[3] = changed[3] | modes if on else changed[3] & ~modes

    def suspend(signal_number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: restore the modes for the shell, and set ours again when continued."""
        termios.tcsetattr(number, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, suspend)
        termios.tcsetattr(number, termios.TCSADRAIN, changed)

    termios.tcsetattr(number, termios.TCSADRAIN, changed)
    handler = signal.signal(signal.SIGTSTP, suspend)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, handler)
        with suppress(termios.error, OSError):
            termios.tcsetattr(number, termios.TCSADRAIN, before)
