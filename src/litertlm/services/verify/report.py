"""The result of a verification."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Verdict(enum.Enum):
    """`FAILED` ends the program with exit code 9; `WARNED` does not."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


NO_CHECKPOINT = "The checkpoint is not on disk; give it with --checkpoint."


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: `structure`, `prompts`, `tokens`, `quality` or `behaviour`.
        summary: one line for people.
        values: numbers for `--json`.
        problems: what is wrong, one line each.
    """

    name: str
    verdict: Verdict
    summary: str
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """The checks of one bundle."""

    model: str
    bundle: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; warnings and what could not be checked do not count."""
        return all(check.verdict is not Verdict.FAILED for check in self.checks)


def check_fields(check: Check) -> dict[str, Any]:
    """The fields of one check in `--json`."""
    return {
        "name": check.name,
        "verdict": check.verdict.value,
        "summary": check.summary,
        "problems": list(check.problems),
        **check.values,
    }


def judged(
    name: str,
    problems: Sequence[str],
    summary: str,
    values: Mapping[str, Any] | None = None,
    *,
    bad: Verdict = Verdict.FAILED,
) -> Check:
    """A check that passed if there are no problems."""
    verdict = bad if problems else Verdict.PASSED
    return Check(name, verdict, summary, values or {}, tuple(problems))


def not_checked(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, Verdict.NOT_CHECKED, why)
