"""A verification report: as data and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litertlm.services.verify import Report

_MARKS = {"passed": "✓", "warned": "!", "failed": "✗", "not checked": "-"}


def report_fields(report: Report) -> dict[str, Any]:
    """The fields of `--json`."""
    from litertlm.services.verify import check_fields

    return {
        "model": report.model,
        "path": str(report.bundle),
        "passed": report.passed,
        "checks": [check_fields(check) for check in report.checks],
    }


def report_lines(report: Report) -> list[str]:
    """One line for each check, and one for each problem."""
    lines = []
    for check in report.checks:
        lines.append(f"{_MARKS[check.verdict.value]} {check.name:<10} {check.summary}")
        lines += [f"    {problem}" for problem in check.problems]
    return lines


def failed_checks(report: Report) -> list[str]:
    """Names of the checks that failed."""
    return [check.name for check in report.checks if check.verdict.value == "failed"]
