"""Keep the last report of `verify` in the provenance, for `publish`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litertlm.errors import UsageError
from litertlm.progress import Progress
from litertlm.services.verify.report import Report, Verdict, check_fields
from litertlm.store import InstalledModel, Store, parse_name, timestamp, write_provenance

_NOT_CHECKED = Verdict.NOT_CHECKED.value


def record_report(model: InstalledModel, report: Report, store: Store, progress: Progress) -> None:
    """Write the checks of `report` into the model's provenance.

    Earlier checks of the same file stay, unless the report has them. A bundle without provenance
    gets none, and a models folder that is not writable is no error.
    """
    if model.provenance is None:
        return
    name = parse_name(model.name)
    try:
        with store.lock(name, progress):
            current = store.find(name, file=model.bundle.name)
            if current is None or current.provenance is None:
                return
            known = current.provenance
            if known.sha256 != model.provenance.sha256:  # converted again meanwhile
                return
            checks = {check["name"]: check for check in recorded_checks(model)}
            new = {check.name: check_fields(check) for check in report.checks}
            checks |= {n: c for n, c in new.items() if n not in checks or _was_checked(c)}
            verified = {
                "sha256": known.sha256,
                "created": timestamp(),
                "checks": list(checks.values()),
            }
            write_provenance(current.bundle, replace(known, verified=verified))
    except UsageError as error:
        progress.detail(f"The report was not recorded. {error}")


def recorded_checks(model: InstalledModel) -> list[dict[str, Any]]:
    """The checks that `verify` recorded for this file; empty if there are none."""
    known = model.provenance
    verified = known.verified if known else None
    if known is None or not isinstance(verified, Mapping):
        return []
    checks = verified.get("checks")
    if verified.get("sha256") != known.sha256 or not isinstance(checks, list):
        return []
    return [check for check in checks if isinstance(check, dict) and "name" in check]


def _was_checked(check: Mapping[str, Any]) -> bool:
    return bool(check["verdict"] != _NOT_CHECKED)
