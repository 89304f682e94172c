"""`--progress json`: what happens, as one JSON object a line on stderr (docs/progress.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from litertlm.cli.progress_display import Bar, Wait, Work

_PROGRESS_SECONDS = 0.5  # between two events of one task


class Events:
    """Writes events; a `progress_display.Display`.

    Args:
        write_line: writes a line to stderr and flushes.
        clean: makes a text safe to print: without the user's token.
        now: the time of day, in seconds since 1970.

    Attributes:
        scope: fields of every event: the model that it is about.
    """

    def __init__(
        self,
        work: Work,
        write_line: Callable[[str], None],
        clean: Callable[[str], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.scope: dict[str, Any] = {}
        self._work = work
        self._write_line = write_line
        self._clean = clean
        self._now = now
        self._next: dict[Bar, float] = {}

    def write(self, event: str, **fields: Any) -> None:
        """Write one event; fields that are None are left out."""
        values = {"event": event, "time": round(self._now(), 3)}
        values |= {k: v for k, v in {**self.scope, **fields}.items() if v is not None}
        self._write_line(self._clean(json.dumps(values)))

    def started(self, bar: Bar) -> None:
        self._next[bar] = self._work.clock() + _PROGRESS_SECONDS
        self.write("started", **_fields(bar))

    def changed(self, bar: Bar) -> None:
        now = self._work.clock()
        if now >= self._next[bar]:
            self._next[bar] = now + _PROGRESS_SECONDS
            fields = _fields(bar)
            if speed := bar.speed(now):
                fields |= {
                    "bytes_per_second": round(speed[0]),
                    "seconds_left": round(speed[1], 1),
                }
            self.write("progress", **fields)

    def ended(self, bar: Bar) -> None:
        del self._next[bar]
        self.write("finished", **_fields(bar))

    def waits(self, wait: Wait, *, first: bool) -> None:
        if first:
            seconds = max(0.0, wait.until - self._work.clock())
            self.write(
                "waiting", reason=wait.reason, wait_s=round(seconds, 1), requested=wait.requested
            )

    def waited(self) -> None:
        self.write("continued")

    def tick(self) -> None:
        for bar in self._work.bars:
            if bar.done < bar.total:
                self.changed(bar)


def _fields(bar: Bar) -> dict[str, Any]:
    return {
        "task": bar.number,
        "label": bar.label,
        "done_bytes": bar.furthest,
        "total_bytes": bar.total,
    }
