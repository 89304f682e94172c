"""Models on disk: layout, provenance, locks, sizes, removal."""

from litertlm.store.names import ModelName, parse_name, safe_part
from litertlm.store.provenance import Provenance, read_provenance
from litertlm.store.store import (
    BUNDLE_SUFFIX,
    LOCAL_ORG,
    InstalledModel,
    Leftover,
    Sizes,
    Store,
    check_whole,
    provenance_path,
)

__all__ = [
    "BUNDLE_SUFFIX",
    "LOCAL_ORG",
    "InstalledModel",
    "Leftover",
    "ModelName",
    "Provenance",
    "Sizes",
    "Store",
    "check_whole",
    "parse_name",
    "provenance_path",
    "read_provenance",
    "safe_part",
]
