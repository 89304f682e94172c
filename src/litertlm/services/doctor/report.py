"""A block for bug reports, without secrets, paths of the user, and names of models and hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from litertlm.services.doctor.finding import Finding
from litertlm.settings import Settings

_HIDDEN = "..."


def report_block(findings: Sequence[Finding], settings: Settings) -> str:
    """The findings as a block of Markdown."""
    lines = [f"{f.level.value:<8}{f.name}: {_public(f, settings)}" for f in findings]
    return "\n".join(["```", *lines, "```"])


def _public(finding: Finding, settings: Settings) -> str:
    """The text on one line, without what is private."""
    text = " ".join(finding.text.split())
    for part in sorted(finding.private, key=len, reverse=True):
        text = text.replace(part, _HIDDEN)
    places = [settings.models_dir, settings.cwd, Path.home()]
    for place in sorted((str(p) for p in places), key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(place, _HIDDEN)
    return text
