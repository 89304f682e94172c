"""`litert-lm-cli doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command

if TYPE_CHECKING:
    from litertlm.services.doctor import Finding

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@make_command("doctor")
@progress_option
@click.option("--fix", is_flag=True, help="Do what is safe: remove unfinished files, stale locks.")
@click.option("--quick", is_flag=True, help="Do not read all bundles to compare their SHA-256.")
@click.option("--report", is_flag=True, help="Print only a block for a bug report.")
def command(app: App, fix: bool, quick: bool, report: bool) -> None:
    """Check this machine: Python, runtime, memory, disk, models, token and the Hub.

    The report has no tokens, no paths of yours, and no names of models and hosts. The exit code is
    1 if there is a problem, else 0.
    """
    from litertlm.services.doctor import Level, examine, report_block

    findings: list[Finding] = []
    fields: list[dict[str, Any]] = []
    lines: list[str] = []
    app.output.transient("Checking this machine...")
    for finding in examine(app.store, app.settings, app.output, hashes=not quick):
        fixed = fix and finding.repair is not None
        if fixed and finding.repair is not None:
            finding.repair()
        findings.append(finding)
        fields.append(
            {
                "name": finding.name,
                "level": finding.level.value,
                "text": finding.text,
                "fix": finding.fix or None,
                "fixed": fixed,
            }
        )
        lines.append(_line(finding, fixed=fixed))
    block = report_block(findings, app.settings)
    human = block if report else "\n".join(lines)
    app.output.data({"findings": fields, "report": block}, human)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise click.exceptions.Exit(1)


def _line(finding: Finding, *, fixed: bool) -> str:
    lines = [f"{_MARKS[finding.level.value]} {finding.name}: {finding.text}"]
    if fixed:
        lines.append("  Fixed.")
    elif finding.fix:
        lines.append(f"  {finding.fix}")
    return "\n".join(lines)
