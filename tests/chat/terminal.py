"""The real program in a pseudo-terminal, with an emulated screen."""

from __future__ import annotations

import os
import re
import signal
import termios
import time
from pathlib import Path

import pexpect
import pyte

from program import PROGRAM, isolated_environment

COLUMNS, ROWS = 90, 40
_PATIENCE = 180  # seconds; a shared machine may be slow
# A prompt turns bracketed paste on, and its end turns it off.
_PROMPT, _PROMPT_ENDS = "\x1b[?2004h", "\x1b[?2004l"


class _Screen(pyte.HistoryScreen):
    """A screen that answers requests for the cursor's position."""

    child: pexpect.spawn[str]

    def write_process_input(self, data: str) -> None:
        self.child.send(data)


class Terminal:
    """A program running in its own pseudo-terminal.

    Attributes:
        screen: the emulated screen.
        received: all output of the program.
        left_usable: whether the terminal was in a mode that a shell can use when the program ended.
    """

    def __init__(
        self,
        *arguments: str,
        home: Path,
        program: str | None = None,
        columns: int = COLUMNS,
        **environment: str,
    ) -> None:
        variables = isolated_environment(home, TERM="xterm-256color", **environment)
        variables.pop("COLUMNS")
        self.screen = _Screen(columns, ROWS, history=5000)
        self._stream = pyte.Stream(self.screen)
        self.received = ""
        self.left_usable = False
        self.child = pexpect.spawn(
            program or PROGRAM[0],
            [*arguments] if program else [*PROGRAM[1:], *arguments],
            env=variables,  # type: ignore[arg-type]
            cwd=str(home),
            dimensions=(ROWS, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=_PATIENCE,
        )
        self.child.delaybeforesend = None
        self.screen.child = self.child

    def send(self, keys: str) -> int:
        """Type; returns how much was received before, for `wait_for_prompt`."""
        before = len(self.received)
        self.child.send(keys)
        return before

    def send_line(self, text: str) -> str:
        """Send a line and return the screen at the next prompt."""
        self.wait_for_prompt()
        before = self.send(text)
        self.wait_until(lambda: len(self.received) > before, "an echo")
        return self.wait_for_prompt(after=self.send("\r"))

    def wait_for(self, text: str) -> str:
        """Wait for `text` on the screen; return the screen."""
        self.wait_until(lambda: text in self.text, repr(text))
        return self.text

    def wait_for_prompt(self, after: int = 0) -> str:
        """Read until the program waits for a line, with a prompt that came `after` a position.

        The position is what `send` returned: counted later, the prompt may have come already.
        """
        self.wait_until(
            lambda: (
                _PROMPT in self.received[after:]
                and not is_answering(self.received)
                and self.cursor_line.rstrip().endswith(">")
            ),
            "a prompt",
        )
        return self.text

    def wait_until(self, condition, what: str) -> None:  # type: ignore[no-untyped-def]
        """Read output until `condition` is true."""
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < end, f"{what} did not come:\n{self.text}"
            self._read()

    def wait_for_end(self) -> int:
        """Wait for the program's end; return its exit code, negative for a signal."""
        end = time.monotonic() + _PATIENCE
        while self._read():
            assert time.monotonic() < end, f"the program did not end:\n{self.text}"
        self.left_usable = self.echoes()
        self.child.close()
        code, killer = self.child.exitstatus, self.child.signalstatus
        return code if code is not None else -(killer or 0)

    def echoes(self) -> bool:
        """Whether echo and line mode are on, as a shell expects."""
        modes = termios.tcgetattr(self.child.child_fd)[3]
        return bool(modes & termios.ECHO and modes & termios.ICANON)

    @property
    def cursor_line(self) -> str:
        """The line that the cursor is on."""
        return self.screen.display[self.screen.cursor.y]

    @property
    def text(self) -> str:
        """The screen and its history, without trailing spaces."""
        scrolled = [
            "".join(line[column].data for column in range(self.screen.columns))
            for line in self.screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*scrolled, *self.screen.display]).rstrip()

    def close(self) -> None:
        """Kill the program."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()

    def _read(self) -> bool:
        try:
            data = self.child.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.received += data
        self._stream.feed(data)
        return True

    def settled(self, seconds: float = 0.3) -> str:
        """The screen when there is no more output."""
        length = -1
        while length != len(self.received):
            length = len(self.received)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self._read()
        return self.text


def is_answering(received: str) -> bool:
    """Whether the last line was sent, and no prompt has come since."""
    return received.rfind(_PROMPT_ENDS) > received.rfind(_PROMPT)


def unwrapped(screen: str) -> str:
    """Without the line breaks of a long path."""
    screen = re.sub(rf"(?<=^.{{{COLUMNS}}})\n", "", screen, flags=re.M)
    # A space in the last column is not shown.
    return re.sub(rf"(?<=^.{{{COLUMNS - 1}}})\n", " ", screen, flags=re.M)


def file_mode(path: Path) -> int:
    """Permission bits."""
    return os.stat(path).st_mode & 0o777
