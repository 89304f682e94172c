"""What is in the models folder: damaged bundles, unfinished files, caches, locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from litertlm.bundle_format.header import read_header
from litertlm.errors import LiteRtLmError
from litertlm.progress import Progress
from litertlm.services.doctor.finding import Finding, Level
from litertlm.settings import CLONE_VARIABLE, Settings
from litertlm.store import InstalledModel, Leftover, Store, check_integrity
from litertlm.store.files import file_sha256
from litertlm.units import format_bytes

# Nothing is lost with these; the others can be resumed or were kept to be looked at.
_SAFE = {"unfinished", "cache without a model"}


def examine_models(
    store: Store, settings: Settings, progress: Progress, *, hashes: bool
) -> Iterator[Finding]:
    """What is on disk.

    Args:
        hashes: read all bundles to compare their SHA-256.
    """
    models = store.installed()
    bad = [fault for model in models if (fault := _fault(model, progress, hashes=hashes))]
    yield from bad
    if not bad:
        how = "SHA-256 compared" if hashes else "sizes and headers compared"
        yield Finding("bundles", Level.OK, f"{len(models)} ({how})")
    leftovers = store.leftovers()
    for reason in dict.fromkeys(item.reason for item in leftovers):
        yield _leftovers(store, reason, [x for x in leftovers if x.reason == reason], progress)
    if not leftovers:
        yield Finding("files", Level.OK, "nothing unfinished")
    yield from _locks(store, settings)


def _fault(model: InstalledModel, progress: Progress, *, hashes: bool) -> Finding | None:
    why = ""
    try:
        check_integrity(model)
        read_header(model.bundle)
        known = model.provenance
        if hashes and known is not None:
            with progress.task(f"Checking {model.name}", known.size_bytes) as task:
                if file_sha256(model.bundle) != known.sha256:
                    why = "Its SHA-256 differs from the one recorded when it was made."
                task.advance(known.size_bytes)
    except LiteRtLmError as error:
        why = error.why or error.what
    except OSError as error:
        why = error.strerror or str(error)
    if not why:
        return None
    return Finding(
        "bundles",
        Level.PROBLEM,
        f"{model.name} is damaged: {why}",
        f"litert-lm-cli pull {model.name} --reconvert, or rm {model.name}",
        private=(str(model.bundle), model.name),
    )


def _leftovers(store: Store, reason: str, items: list[Leftover], progress: Progress) -> Finding:
    size = format_bytes(sum(item.size_bytes for item in items))
    text = f"{reason}: {len(items)} ({size})"

    def repair() -> None:
        for item in items:
            store.prune(item, progress)

    safe = reason in _SAFE
    fix = "litert-lm-cli doctor --fix, or prune" if safe else "litert-lm-cli prune"
    if reason == "unfinished download":
        fix = "litert-lm-cli pull MODEL continues it; prune removes it"
    return Finding("files", Level.WARNING, text, fix, repair if safe else None)


def _locks(store: Store, settings: Settings) -> Iterator[Finding]:
    """Locks of models end with their process; the launcher's is a link to a process id."""
    from filelock import FileLock, Timeout

    busy = 0
    for path in (store.root / ".locks").glob("*.lock"):
        try:
            with FileLock(path, blocking=False):
                pass
        except Timeout:
            busy += 1
        except OSError:
            continue
    text = f"{busy} models are in use by other processes" if busy else "none is held"
    yield Finding("locks", Level.OK, text)
    clone = settings.environment.get(CLONE_VARIABLE)
    lock = Path(clone) / ".venv.lock" if clone else None
    # On Windows os.kill would end the process; its launcher has no such lock.
    posix = os.name == "posix"
    if posix and lock is not None and lock.is_symlink() and not _runs(os.readlink(lock)):
        yield Finding(
            "locks",
            Level.WARNING,
            "the launcher's lock belongs to a process that has ended",
            "litert-lm-cli doctor --fix",
            partial(lock.unlink, missing_ok=True),
        )


def _runs(process: str) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True
    return True
