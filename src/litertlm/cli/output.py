"""The only module that prints.

Answers and data go to stdout, everything else to stderr. Commands pass their data once; it is
printed as text, as JSON or not at all, depending on the options.

Text may contain names from a checkpoint or a server's words: everything but the model's answers is
made printable here (printable.py), and the user's Hugging Face token is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from litertlm.cli.events import Events
from litertlm.cli.printable import LONGEST_LINE, printable, printable_line, redact
from litertlm.cli.progress_display import Bar, Bars, Display, Lines, Nothing, Work
from litertlm.settings import known_tokens

ENVIRONMENT = "environment"  # the key of `make_output`
_MIN_TEXT_WIDTH = 24  # columns; below it, text goes on a line of its own
_CLEAR_REST = "\x1b[K"
_RED, _GREEN, _YELLOW = "\x1b[31m", "\x1b[32m", "\x1b[33m"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_COLOURS = {"✗": _RED, "✓": _GREEN, "!": _YELLOW}


class StdoutClosed(Exception):
    """The reader of stdout is gone (`| head -1`, a closed terminal)."""


class Output:
    """Writes a command's answers, data and messages. Implements `progress.Progress`.

    Args:
        stdout, stderr: the streams.
        environment: `NO_COLOR` and `TERM` are read.
        json_wanted: `--json`: data and errors are printed as JSON.
        quiet: `--quiet`: no status and no progress bars; answers, warnings and errors only.
        verbose: `--verbose`: prints details.
        events_wanted: `--progress json`: everything on stderr is an event.
        secrets: returns what must not be printed, the user's token; called once, at the first
            message.
        clock: time in seconds, for transfer rates.
        ticks: whether the progress is shown again from time to time while nothing happens.

    Attributes:
        colours: whether colours may be used on a terminal (`NO_COLOR` is not set).
    """

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        *,
        environment: Mapping[str, str],
        json_wanted: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        events_wanted: bool = False,
        secrets: Callable[[], frozenset[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
        ticks: bool = False,
    ) -> None:
        self.json_wanted = json_wanted
        self.quiet = quiet
        self.verbose = verbose
        self._stdout = stdout
        self._stderr = stderr
        self._stdout_is_terminal = stdout.isatty()
        self._read_secrets = secrets
        self._prefix = ""
        self._warned: set[str] = set()
        self._secrets: frozenset[str] | None = None
        self._lock = threading.RLock()
        self._dumb = environment.get("TERM") in {"dumb", ""}
        self.colours = not environment.get("NO_COLOR")
        smart = stderr.isatty() and not self._dumb
        self._animates = smart and not quiet
        self._colours = smart and self.colours
        self._transient_shown = smart  # startup_line.py may have printed a line
        self._work = Work(clock, self._lock, ticks=ticks)
        self._events: Events | None = None
        self._bars: Bars | None = None
        self._display: Display = Nothing()
        if events_wanted:
            self._animates = False
            self._events = Events(self._work, self._write_raw_line, self._redacted)
            self._display = self._events
        elif self._animates:
            ascii_only = not _can_encode(stderr, "━·…")
            self._bars = Bars(
                self._work, self._write_raw, lambda: self.width, ascii_only=ascii_only
            )
            self._display = self._bars
        elif not quiet:
            self._display = Lines(self._work, self._write_line)

    def data(self, value: Any, human: str) -> None:
        """Print the result of a command: `value` with `--json`, else the text `human`."""
        text = json.dumps(value, indent=2) if self.json_wanted else printable(human, longest=None)
        self.write_stdout(self._redacted(text), end="\n")

    def source(self, value: Any, source: str) -> None:
        """`data` whose text is a file's content: unchanged, but printable on a terminal."""
        if self.json_wanted or self._stdout_is_terminal:
            self.data(value, source.replace("\t", "    "))
        else:
            self.write_stdout(source, end="\n")

    def write_stdout(self, text: str, *, end: str = "") -> None:
        """Write part of an answer to stdout and flush.

        Raises:
            StdoutClosed: the reader is gone.
        """
        with self._lock:
            self._clear_transient_line()
            try:
                self._stdout.write(text + end)
                self._stdout.flush()
            except OSError as error:
                gone = errno.EIO if self._stdout_is_terminal else errno.EPIPE
                if error.errno not in (errno.EPIPE, gone):
                    raise
                # What is left in the buffer must not fail again when Python exits.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stdout.fileno())
                raise StdoutClosed from error

    def stdout_terminal_size(self) -> Callable[[], os.terminal_size] | None:
        """A function that returns stdout's current size; None if stdout is not a terminal."""
        if not self._stdout_is_terminal or self._dumb:
            return None
        return shutil.get_terminal_size

    def write_stderr(self, text: str) -> None:
        """Write text that accompanies an answer (thinking) to stderr and flush."""
        if self._events is not None:
            self._events.write("thinking", text=text)
        elif not self.quiet:
            self._clear_transient_line()
            self._stderr.write(text)
            self._stderr.flush()

    @property
    def can_ask(self) -> bool:
        """Whether the user can be asked: stdin and stderr are a terminal."""
        return sys.stdin.isatty() and self._stderr.isatty()

    def confirm(self, question: str) -> bool:
        """Ask on the terminal, in one line; anything but `y` or `yes` is no."""
        self._stderr.write(self._cleaned(_one_line(question), longest=None))
        self._stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    @property
    def width(self) -> int:
        """Width of stderr in columns."""
        with contextlib.suppress(OSError):
            if columns := os.get_terminal_size(self._stderr.fileno()).columns:
                return columns
        return shutil.get_terminal_size().columns

    def note(self, text: str) -> None:
        """Print something the user asked for in a chat: on stderr, also with `--quiet`.

        It may have several lines.
        """
        self._message("note", text, longest=None)

    def status(self, text: str) -> None:
        if not self.quiet:
            self._message("status", _one_line(text))

    def transient(self, text: str) -> None:
        """Print the current activity on a terminal; the next output overwrites it."""
        if self._animates:
            text = printable_line(self._redacted(text))
            with self._lock:
                self._clear_transient_line()
                self._stderr.write(f"{_DIM}{text[: self.width - 1]}{_PLAIN}\r")
                self._stderr.flush()
                self._transient_shown = True

    def detail(self, text: str) -> None:
        if self.verbose and not self.quiet:
            self._message("detail", text)

    def warn(self, text: str, *, again: bool = False) -> None:
        """Print a warning; the same one only once, unless `again` is set."""
        if again or text not in self._warned:
            self._warned.add(text)
            self._message("warning", _one_line(text if self._events else f"! {text}"))

    def error(self, text: str, fields: Mapping[str, Any]) -> None:
        """Print an error: `text`, or with `--json` one object `{"error": fields}`."""
        if self._events is not None:
            self._events.write("error", error=dict(fields))
        elif self.json_wanted:
            self._write_line(json.dumps({"error": fields}), longest=None)
        else:
            self._write_line(text)

    @contextlib.contextmanager
    def task(self, label: str, total_bytes: int) -> Iterator[Bar]:
        label = f"{self._prefix}{printable_line(self._redacted(label))}"
        with self._work.task(label, total_bytes, self._display) as bar:
            yield bar

    @contextlib.contextmanager
    def waiting(self, reason: str, seconds: float, *, requested: bool) -> Iterator[None]:
        reason = printable_line(self._redacted(reason))
        if not requested:
            self.detail(f"{reason} Trying again in {seconds:g} s.")
        with self._work.waiting(reason, seconds, requested, self._display):
            yield

    @contextlib.contextmanager
    def about(self, model: str, number: int = 1, count: int = 1) -> Iterator[None]:
        """What is reported inside of the context is about the model `number` of `count`."""
        prefix, self._prefix = self._prefix, f"[{number}/{count}] " if count > 1 else ""
        if self._events is not None:
            self._events.scope = {"model": model}
        try:
            yield
        finally:
            self._prefix = prefix
            if self._events is not None:
                self._events.scope = {}

    def event(self, name: str, **fields: Any) -> None:
        """Report something that only programs want to know."""
        if self._events is not None:
            self._events.write(name, **fields)

    def _redacted(self, text: str) -> str:
        if self._secrets is None:
            self._secrets = self._read_secrets()
        return redact(text, self._secrets)

    def _cleaned(self, text: str, longest: int | None = LONGEST_LINE) -> str:
        """`text` without the token, and without characters that control a terminal."""
        return printable(self._redacted(text), longest=longest)

    def _write_line(self, text: str, longest: int | None = LONGEST_LINE) -> None:
        text = self._cleaned(text, longest)
        with self._lock:
            self._clear_transient_line()
            if self._colours and text[:1] in _COLOURS:
                text = f"{_COLOURS[text[0]]}{text[0]}{_PLAIN}{text[1:]}"
            self._stderr.write(text + "\n")
            self._stderr.flush()

    def _message(self, event: str, text: str, longest: int | None = LONGEST_LINE) -> None:
        if self._events is not None:
            self._events.write(event, text=text)
        else:
            self._write_line(text, longest)

    def _write_raw_line(self, text: str) -> None:
        with self._lock:
            self._write_raw(f"{text}\n")

    def _write_raw(self, text: str) -> None:
        self._stderr.write(text)
        self._stderr.flush()

    def _clear_transient_line(self) -> None:
        """Clear progress bars or transient text."""
        if self._bars is not None:
            self._bars.hide()
        if self._transient_shown:
            self._transient_shown = False
            self._stderr.write(_CLEAR_REST)
            self._stderr.flush()


def _one_line(text: str) -> str:
    """`text` with its line breaks as escapes: a name must not look like a message of its own."""
    return text.replace("\n", "\\n")


def _can_encode(stream: TextIO, text: str) -> bool:
    """Whether `stream` can show `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def make_output(options: Mapping[str, Any]) -> Output:
    """An `Output` on stdout and stderr.

    Args:
        options: `json`, `quiet`, `verbose`, `progress`, and ENVIRONMENT, the environment variables
            with the tokens (default: those of the process).
    """
    environment = options.get(ENVIRONMENT, os.environ)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a replacement, not an exception.
        # It flushes first, which fails again when stdout is full.
        with contextlib.suppress(OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    return Output(
        sys.stdout,
        sys.stderr,
        environment=environment,
        json_wanted=options.get("json", False),
        quiet=options.get("quiet", False),
        verbose=options.get("verbose", False),
        events_wanted=options.get("progress") == "json",
        secrets=lambda: known_tokens(environment),
        ticks=True,
    )


def listing(rows: list[list[str]], width: int) -> str:
    """Format `rows` in columns; the last one is wrapped at word boundaries to `width`."""
    import textwrap

    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = 2 + sum(widths) + 2 * len(widths)
    room = width - indent
    lines = []
    for *cells, text in rows:
        start = "".join(f"  {cell:{size}}" for cell, size in zip(cells, widths, strict=True)) + "  "
        if room < _MIN_TEXT_WIDTH:
            lines += [start, *("      " + line for line in textwrap.wrap(text, max(20, width - 6)))]
        else:
            wrapped = textwrap.wrap(text, room, break_long_words=False) or [""]
            lines += [start + wrapped[0], *(" " * indent + line for line in wrapped[1:])]
    return "\n".join(line.rstrip() for line in lines)


def table(rows: list[list[str]], right: frozenset[int] = frozenset()) -> str:
    """Format `rows` (the first is the header) in columns; those in `right` are right-aligned."""
    rows = [[printable_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
