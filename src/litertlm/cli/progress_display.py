"""How running work is shown: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from litertlm.units import format_bytes

TICK_SECONDS = 0.25  # between redraws while nothing arrives
REDRAW_SECONDS = 0.1
LINE_SECONDS = 5.0
_RATE_SECONDS = 8.0  # the rate is the mean of this time
_SAMPLE_SECONDS = 0.25
_FIRST_RATE_SECONDS = 0.5
_SILENCE_SECONDS = 3.0  # without a byte, which is then shown instead of the time left
_MOST_BARS = 6
_CELLS = 30


class Bar:
    """Progress of a task, measured in bytes.

    Args:
        label: one printable line.
        total: bytes.
        clock: seconds.
        changed: called when there is something new to show.

    Attributes:
        number: of the task, from 1.
        done: bytes; fewer than before when something is done again.
        furthest: the largest value of `done`.
    """

    def __init__(
        self,
        label: str,
        total: int,
        clock: Callable[[], float],
        changed: Callable[[Bar], None] = lambda bar: None,
        number: int = 1,
    ) -> None:
        self.label = label
        self.total = total
        self.number = number
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self.done = self.furthest = 0
        self._started = self._shown = self._moved = clock()
        self._samples = collections.deque([(self._started, 0)])

    def advance(self, nbytes: int) -> None:
        now = self._clock()
        with self._lock:
            self.done += nbytes
            self.furthest = max(self.furthest, self.done)
            if nbytes:
                self._moved = now
            if nbytes < 0:
                self._samples = collections.deque([(now, self.done)])
            elif now - self._samples[-1][0] >= _SAMPLE_SECONDS:
                self._samples.append((now, self.done))
            due = now - self._shown >= REDRAW_SECONDS
            if due:
                self._shown = now
        if due:
            self._changed(self)

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    def silence(self, now: float) -> float:
        """Seconds without a byte, if they are worth mentioning; else 0."""
        seconds = now - self._moved
        return seconds if seconds >= _SILENCE_SECONDS and self.done < self.total else 0.0

    def speed(self, now: float) -> tuple[float, float] | None:
        """Bytes per second of the last seconds, and seconds left; None if it is too early to tell,
        nothing arrives, or all is there (the task may have to wait for others)."""
        with self._lock:
            if self.done >= self.total:
                return None
            while len(self._samples) > 1 and now - self._samples[1][0] > _RATE_SECONDS:
                self._samples.popleft()
            start, before = self._samples[0]
            if now - self._started <= _FIRST_RATE_SECONDS or now <= start or self.done <= before:
                return None
            rate = (self.done - before) / (now - start)
            return rate, max(0, self.total - self.done) / rate

    def numbers(self) -> list[str]:
        """Percent, bytes, rate, time left; the first and the last are the most important."""
        now = self._clock()
        parts = [f"{self.share:4.0%}", f"{format_bytes(self.done)} of {format_bytes(self.total)}"]
        if silence := self.silence(now):
            parts.append(f"no data for {format_duration(silence)}")
        elif speed := self.speed(now):
            parts += [f"{format_bytes(speed[0])}/s", f"{format_duration(speed[1])} left"]
        return parts

    def text(self, width: int, *, ascii_only: bool = False) -> str:
        """The line, at most `width` characters: label, bar, and as many numbers as fit."""
        parts = self.numbers()
        full, empty, cut = ("#", "-", "...") if ascii_only else ("━", "·", "…")
        numbers = "  ".join(parts)
        room = width - len(self.label) - len(numbers) - 4
        if room >= 8:
            cells = min(room, _CELLS)
            filled = round(self.share * cells)
            bar = full * filled + empty * (cells - filled)
            return f"{self.label}  {bar}  {numbers}"
        percent, size, *rest = parts
        left = rest[-1:]
        for kept in (parts, [percent, size, *left], [percent, *left], [percent]):
            line = f"{self.label}  {'  '.join(kept)}"
            if len(line) <= width:
                return line
        room = width - len(percent) - 2 - len(cut)
        return f"{self.label[:room]}{cut}  {percent}" if room > 0 else percent.strip()[:width]


@dataclass(frozen=True, eq=False)
class Wait:
    """A pause of some thread.

    Attributes:
        until: by the clock, in seconds.
        requested: whether a server asked for it.
    """

    reason: str
    until: float
    requested: bool

    def text(self, now: float) -> str:
        """One line."""
        why = "the server asked for it" if self.requested else "to try again"
        return f"waiting {format_duration(max(0.0, self.until - now))}, {why}: {self.reason}"


class Display(Protocol):
    """Shows the bars and waits of `Work`. It is called with the lock of the output."""

    def started(self, bar: Bar) -> None:
        """A task began."""

    def changed(self, bar: Bar) -> None:
        """A task has advanced; at most ten times a second for each."""

    def ended(self, bar: Bar) -> None:
        """A task ended."""

    def waits(self, wait: Wait, *, first: bool) -> None:
        """A thread waits; `first` if no other does for the same reason."""

    def waited(self) -> None:
        """The last thread that waited goes on."""

    def tick(self) -> None:
        """Time has passed."""


class Work:
    """The tasks and waits of the program, and a thread that lets the display show the time."""

    def __init__(self, clock: Callable[[], float], lock: threading.RLock, *, ticks: bool) -> None:
        self.bars: list[Bar] = []
        self.waits: list[Wait] = []
        self.clock = clock
        self._lock = lock
        self._ticks = ticks
        self._ticking = False
        self._number = 0

    @contextlib.contextmanager
    def task(self, label: str, total: int, display: Display) -> Iterator[Bar]:
        """A bar while the context lasts."""

        def changed(bar: Bar) -> None:
            with self._lock:
                display.changed(bar)

        with self._lock:
            self._number += 1
            bar = Bar(label, total, self.clock, changed, self._number)
            self.bars.append(bar)
            display.started(bar)
            self._start_ticking(display)
        try:
            yield bar
        finally:
            with self._lock:
                self.bars.remove(bar)
                display.ended(bar)

    @contextlib.contextmanager
    def waiting(
        self, reason: str, seconds: float, requested: bool, display: Display
    ) -> Iterator[None]:
        """A wait while the context lasts."""
        wait = Wait(reason, self.clock() + seconds, requested)
        with self._lock:
            first = all(other.reason != reason for other in self.waits)
            self.waits.append(wait)
            display.waits(wait, first=first)
            self._start_ticking(display)
        try:
            yield
        finally:
            with self._lock:
                self.waits.remove(wait)
                if not self.waits:
                    display.waited()

    def _start_ticking(self, display: Display) -> None:
        if self._ticks and not self._ticking:
            self._ticking = True
            threading.Thread(target=self._tick, args=(display,), daemon=True).start()

    def _tick(self, display: Display) -> None:
        idle = threading.Event()  # never set: sleeps without a signal's interruption
        while True:
            idle.wait(TICK_SECONDS)
            with self._lock:
                if not self.bars and not self.waits:
                    self._ticking = False
                    return
                # A closed terminal is noticed by the thread that does the work.
                with contextlib.suppress(OSError, ValueError):
                    display.tick()


class Bars:
    """A block of lines on a terminal: a bar for each task, and what is waited for.

    Args:
        write: writes to the terminal and flushes.
        width: columns.
    """

    def __init__(
        self,
        work: Work,
        write: Callable[[str], None],
        width: Callable[[], int],
        *,
        ascii_only: bool,
    ) -> None:
        self._work = work
        self._write = write
        self._width = width
        self._ascii_only = ascii_only
        self._drawn = 0  # lines

    def started(self, bar: Bar) -> None:
        self._draw()

    def changed(self, bar: Bar) -> None:
        self._draw()

    def ended(self, bar: Bar) -> None:
        self.hide()
        if self._work.bars:
            self._draw()

    def waits(self, wait: Wait, *, first: bool) -> None:
        self._draw()

    def waited(self) -> None:
        self._draw()

    def tick(self) -> None:
        self._draw()

    def hide(self) -> None:
        """Clear the block; the next change draws it again."""
        if self._drawn:
            self._write(_to_first_line(self._drawn) + ("\x1b[J" if self._drawn > 1 else "\x1b[K"))
            self._drawn = 0

    def _draw(self) -> None:
        width = self._width() - 1
        lines = [
            bar.text(width, ascii_only=self._ascii_only) for bar in self._work.bars[:_MOST_BARS]
        ]
        if self._work.waits:
            longest = max(self._work.waits, key=lambda wait: wait.until)
            lines.append(longest.text(self._work.clock())[:width])
        start = _to_first_line(self._drawn) if self._drawn else "\r"
        if self._drawn > len(lines):
            start += "\x1b[J"
        self._drawn = len(lines)
        self._write(start + "\n".join(f"\x1b[K{line}" for line in lines))


def _to_first_line(drawn: int) -> str:
    return (f"\x1b[{drawn - 1}A" if drawn > 1 else "") + "\r"


class Lines:
    """A line every few seconds, for a log."""

    def __init__(self, work: Work, write_line: Callable[[str], None]) -> None:
        self._work = work
        self._write_line = write_line
        self._next: dict[Bar, float] = {}

    def started(self, bar: Bar) -> None:
        self._next[bar] = self._work.clock() + LINE_SECONDS

    def changed(self, bar: Bar) -> None:
        now = self._work.clock()
        if now >= self._next[bar]:
            self._next[bar] = now + LINE_SECONDS
            percent, *others = bar.numbers()
            self._write_line(f"{bar.label}: {', '.join([percent.strip(), *others])}")

    def ended(self, bar: Bar) -> None:
        del self._next[bar]

    def waits(self, wait: Wait, *, first: bool) -> None:
        if first and wait.requested:
            seconds = max(0.0, wait.until - self._work.clock())
            self._write_line(
                f"{wait.reason} Waiting {seconds:.0f} s, as requested by the server..."
            )

    def waited(self) -> None:
        pass

    def tick(self) -> None:
        # The reason for the silence was printed.
        if not any(wait.requested for wait in self._work.waits):
            for bar in self._work.bars:
                if bar.done < bar.total:
                    self.changed(bar)


class Nothing:
    """Shows nothing (`--quiet`)."""

    def started(self, bar: Bar) -> None:
        pass

    def changed(self, bar: Bar) -> None:
        pass

    def ended(self, bar: Bar) -> None:
        pass

    def waits(self, wait: Wait, *, first: bool) -> None:
        pass

    def waited(self) -> None:
        pass

    def tick(self) -> None:
        pass


def format_duration(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
