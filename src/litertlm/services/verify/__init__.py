"""How close a bundle is to its checkpoint: structure, prompts and ids, quality, behaviour."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.verify.behaviour import (
        check_behaviour_briefly as check_behaviour_briefly,
    )
    from litertlm.services.verify.metadata_repair import reject as reject
    from litertlm.services.verify.metadata_repair import repair as repair
    from litertlm.services.verify.record import record_report as record_report
    from litertlm.services.verify.record import recorded_checks as recorded_checks
    from litertlm.services.verify.report import Check as Check
    from litertlm.services.verify.report import Report as Report
    from litertlm.services.verify.report import Verdict as Verdict
    from litertlm.services.verify.report import check_fields as check_fields
    from litertlm.services.verify.runtime_comparison import RuntimeComparison as RuntimeComparison
    from litertlm.services.verify.runtime_comparison import compare_in_runtime as compare_in_runtime
    from litertlm.services.verify.structure import check_structure as check_structure
    from litertlm.services.verify.verification import PARTS as PARTS
    from litertlm.services.verify.verification import verify as verify
    from litertlm.services.verify.verification import verify_converted as verify_converted

EXPORTS = {
    "behaviour": ("check_behaviour_briefly",),
    "metadata_repair": (
        "reject",
        "repair",
    ),
    "record": (
        "record_report",
        "recorded_checks",
    ),
    "report": (
        "Check",
        "Report",
        "Verdict",
        "check_fields",
    ),
    "runtime_comparison": (
        "RuntimeComparison",
        "compare_in_runtime",
    ),
    "structure": ("check_structure",),
    "verification": (
        "PARTS",
        "verify",
        "verify_converted",
    ),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
