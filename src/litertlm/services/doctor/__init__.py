"""`doctor`: what is wrong on this machine, and how to fix it."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.doctor.examination import examine as examine
    from litertlm.services.doctor.finding import Finding as Finding
    from litertlm.services.doctor.finding import Level as Level
    from litertlm.services.doctor.report import report_block as report_block

EXPORTS = {
    "examination": ("examine",),
    "finding": ("Finding", "Level"),
    "report": ("report_block",),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
