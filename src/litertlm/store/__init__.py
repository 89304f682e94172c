"""Models on disk: layout, provenance, locks, sizes, removal."""

from litertlm.store.names import BUNDLE_SUFFIX, ModelName, parse_name, safe_part
from litertlm.store.provenance import (
    Provenance,
    provenance_path,
    stage_provenance,
    timestamp,
    write_provenance,
)
from litertlm.store.shared_progress import SharedProgress
from litertlm.store.store import (
    LOCAL_ORG,
    REJECTED_SUFFIX,
    DiskUsage,
    InstalledModel,
    Leftover,
    Store,
    check_integrity,
)

__all__ = [
    "BUNDLE_SUFFIX",
    "LOCAL_ORG",
    "REJECTED_SUFFIX",
    "DiskUsage",
    "InstalledModel",
    "Leftover",
    "ModelName",
    "Provenance",
    "SharedProgress",
    "Store",
    "check_integrity",
    "parse_name",
    "provenance_path",
    "safe_part",
    "stage_provenance",
    "timestamp",
    "write_provenance",
]
