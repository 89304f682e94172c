"""Keep the terminal sane, whatever happens."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Bracketed paste off, cursor shown, style plain.
_RESET_MODES = "\x1b[?2004l\x1b[?25h\x1b[0m"


@contextmanager
def restore_terminal() -> Iterator[None]:
    """Give the terminal back as it was, also when a signal ends the chat in the middle of input."""
    try:
        import termios
    except ImportError:  # Windows, where prompt_toolkit cares for the console itself
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
        # The terminal may be gone, which is why we are here.
        with suppress(termios.error, OSError):
            termios.tcsetattr(number, termios.TCSADRAIN, before)


@contextmanager
def echo(on: bool) -> Iterator[None]:
    """Show what is typed, line by line, or neither.

    Off while an answer comes: what is typed then is the next prompt's input. The terminal would
    drop what is beyond 4096 bytes of a line; without lines it lets the sender wait.
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
        """Ctrl-Z: the shell gets its terminal as it was, and we get ours when we go on."""
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
