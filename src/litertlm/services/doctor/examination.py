"""All findings, in the order in which a reader wants them."""

from __future__ import annotations

from collections.abc import Iterator

from litertlm.progress import Progress
from litertlm.services.doctor.finding import Finding
from litertlm.services.doctor.machine import examine_machine
from litertlm.services.doctor.models import examine_models
from litertlm.services.doctor.network import examine_network
from litertlm.services.doctor.runtime import examine_runtime
from litertlm.settings import Settings
from litertlm.store import Store


def examine(
    store: Store, settings: Settings, progress: Progress, *, hashes: bool
) -> Iterator[Finding]:
    """Examine this machine; each finding comes as soon as it is known.

    Args:
        hashes: read all bundles to compare their SHA-256.
    """
    yield from examine_machine(settings.models_dir)
    yield from examine_runtime(store)
    yield from examine_models(store, settings, progress, hashes=hashes)
    yield from examine_network(settings)
