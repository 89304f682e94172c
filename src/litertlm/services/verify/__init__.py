"""How close a bundle is to its checkpoint: structure, prompts and ids, quality, behaviour."""

from litertlm.services.verify.behaviour import check_behaviour_briefly
from litertlm.services.verify.prompts import Reading, reading
from litertlm.services.verify.report import Check, Verdict
from litertlm.services.verify.verify import (
    PARTS,
    Report,
    checkpoint_of,
    repair,
    set_aside,
    verify,
    verify_converted,
)

__all__ = [
    "PARTS",
    "Check",
    "Reading",
    "Report",
    "Verdict",
    "check_behaviour_briefly",
    "checkpoint_of",
    "reading",
    "repair",
    "set_aside",
    "verify",
    "verify_converted",
]
