"""Models on disk: layout, provenance, locks, sizes, removal."""

from litertlm.store.names import BUNDLE_SUFFIX, ModelName, parse_name, safe_part
from litertlm.store.provenance import (
    Provenance,
    announce_provenance,
    provenance_path,
    timestamp,
    write_provenance,
)
from litertlm.store.store import (
    LOCAL_ORG,
    REJECTED_SUFFIX,
    InstalledModel,
    Leftover,
    Sizes,
    Store,
    check_whole,
)

__all__ = [
    "BUNDLE_SUFFIX",
    "LOCAL_ORG",
    "REJECTED_SUFFIX",
    "InstalledModel",
    "Leftover",
    "ModelName",
    "Provenance",
    "Sizes",
    "Store",
    "announce_provenance",
    "check_whole",
    "parse_name",
    "provenance_path",
    "safe_part",
    "timestamp",
    "write_provenance",
]
