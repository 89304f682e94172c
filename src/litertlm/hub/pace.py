"""The minimum speed of a download: slower than that for a minute counts as a stall.

The timeouts of a connection are per packet: one byte per second exceeds none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from litertlm.errors import NetworkError, UsageError
from litertlm.hub.failures import TooSlow

SPEED_VARIABLE = "LITERT_LM_MIN_DOWNLOAD_SPEED"
MIN_SPEED = 1000  # bytes per second of one file, over all its connections
WINDOW_S = 60.0


def read_min_speed(environment: Mapping[str, str]) -> int:
    """Bytes per second, from `LITERT_LM_MIN_DOWNLOAD_SPEED`; 0 is no minimum.

    Raises:
        UsageError: it is not a non-negative integer.
    """
    text = environment.get(SPEED_VARIABLE, "").strip()
    if not text:
        return MIN_SPEED
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UsageError(
            f"{SPEED_VARIABLE} cannot be {text!r:.100}.",
            why="It must be a number of bytes per second; 0 disables the check.",
        )
    return int(text)


@dataclass
class Pace:
    """Measures the speed of one file over all tries.

    Attributes:
        min_speed: bytes per second; 0 for no minimum.
        window_s: how long data may be slower.
        clock: seconds.
        slow_windows: how many windows in a row were too slow.
    """

    min_speed: float
    window_s: float = WINDOW_S
    clock: Callable[[], float] = time.monotonic
    slow_windows: int = 0
    _began: float = field(init=False)
    _received: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def received(self, size: int) -> None:
        """Count `size` bytes.

        Raises:
            TooSlow: the window is over, and it was too slow.
        """
        self._received += size
        elapsed = self.clock() - self._began
        if elapsed < self.window_s:
            return
        speed = self._received / elapsed
        self._began, self._received = self.clock(), 0
        if speed >= self.min_speed:
            self.slow_windows = 0
            return
        self.slow_windows += 1
        raise TooSlow(
            NetworkError(
                f"The download stalled: {speed:,.0f} bytes per second.",
                why=f"The minimum is {self.min_speed:,} bytes per second over "
                f"{self.window_s:g} seconds.",
                hint="Run the command again to resume the download. For a slow connection, set "
                f"{SPEED_VARIABLE} to a lower number of bytes per second, or to 0.",
            )
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time inside the context."""
        began = self.clock()
        yield
        self._began += self.clock() - began
