"""Versions of the conversion, for `update`: a new one where bundles of the one before are worth
converting again. Other changes of a bundle's bytes have no version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litertlm.store import Provenance

CONVERSION_KEY: Final = "conversion"  # in the `versions` of a provenance


@dataclass(frozen=True)
class ConversionChange:
    """A version of the conversion.

    Attributes:
        version: recorded in the provenance from version 2 on.
        text: what it improved, one line for the user.
    """

    version: int
    text: str


CONVERSION_CHANGES: Final = (
    ConversionChange(1, "first version"),
    ConversionChange(
        2, "answers after /clear, and of later sessions of a server, could be wrong (XNNPACK)"
    ),
)


def missing_changes(provenance: Provenance) -> tuple[ConversionChange, ...]:
    """The changes of the conversion since a bundle was converted; none for a downloaded bundle."""
    if provenance.recipe is None:
        return ()
    recorded = provenance.versions.get(CONVERSION_KEY, "1")
    version = int(recorded) if recorded.isascii() and recorded.isdigit() else 1
    return tuple(change for change in CONVERSION_CHANGES if change.version > version)
