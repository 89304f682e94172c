"""One line of `doctor`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Level(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        name: of the thing, such as `disk`.
        fix: what to do; empty if nothing.
        repair: does it, where that is safe.
        private: parts of `text` that a bug report leaves out, such as names of models and hosts.
    """

    name: str
    level: Level
    text: str
    fix: str = ""
    repair: Callable[[], object] | None = None
    private: tuple[str, ...] = ()
