"""Run a program and sample its memory (Linux, /proc)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.005


@dataclass(frozen=True)
class Measured:
    """Result of a program: wall time in seconds, peak memory in bytes, output."""

    seconds: float
    anonymous: int
    total: int
    stdout: str


def run_measured(
    command: Sequence[str], environment: Mapping[str, str], *, watched: bool
) -> Measured:
    """Run a program to its end; raises if it fails.

    Args:
        watched: sample RssAnon and VmHWM every 5 ms, which slows down the program; otherwise
            the memory is reported as 0.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        list(command), env=dict(environment), stdout=subprocess.PIPE, text=True
    )
    status = Path(f"/proc/{process.pid}/status")
    anonymous = total = 0
    while watched and process.poll() is None:
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            break
        anonymous = max(anonymous, _kilobytes(fields.get("RssAnon")))
        total = max(total, _kilobytes(fields.get("VmHWM")))
        time.sleep(INTERVAL)
    stdout, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
    return Measured(seconds, anonymous, total, stdout)


def _kilobytes(field: str | None) -> int:
    return int(field.split()[0]) * 1024 if field else 0
