"""Models on disk: layout, provenance, locks, sizes, removal."""

from litertlm.store.embedded_record import encode_record, read_record
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
    "encode_record",
    "parse_name",
    "provenance_path",
    "read_record",
    "safe_part",
    "stage_provenance",
    "timestamp",
    "write_provenance",
]
