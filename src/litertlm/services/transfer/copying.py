"""`cp`: a bundle under another name."""

from __future__ import annotations

import os
from dataclasses import replace

from litertlm.errors import UsageError
from litertlm.progress import Progress
from litertlm.services.acquire import find_installed
from litertlm.services.transfer.target_name import (
    check_free,
    check_space,
    parse_target,
    remove_replaced,
)
from litertlm.settings import Settings
from litertlm.store import (
    InstalledModel,
    Store,
    check_integrity,
    stage_provenance,
    write_provenance,
)
from litertlm.store.files import atomic_write, copy_hashed


def copy_model(
    model: str,
    name: str,
    *,
    force: bool,
    store: Store,
    settings: Settings,
    progress: Progress,
) -> InstalledModel:
    """The bundle of `model`, which is on disk, under the name `name` as well.

    Where the file system has hard links, both names share the bytes on disk: a bundle is never
    changed in place. The checkpoint is not copied.

    Args:
        force: replace a model of that name.

    Raises:
        ModelNotFound: it is not on disk.
        UsageError: the name is taken, is no name, or is that of the model itself.
        DamagedBundle: the bundle is damaged.
    """
    source = find_installed(model, store=store, settings=settings)
    target = parse_target(name)
    if source.cache_dir.parent != source.folder:
        raise UsageError(
            f"{model} is not in the models folder.",
            hint=f"To add the file: litert-lm-cli import {model} {name}",
        )
    if source.folder == store.folder(target):
        raise UsageError(f"{model} and {name} are the same model.")
    check_integrity(source)
    with store.lock(target, progress):
        check_free(target, store, force=force)
        old = store.find(target)
        bundle = store.bundle_path(target)
        record = source.provenance and replace(source.provenance, model=str(target))
        with atomic_write(bundle) as temporary:
            try:
                os.link(source.bundle, temporary)
            except OSError:  # a file system without links
                size = source.bundle.stat().st_size
                check_space(bundle.parent, size, str(target))
                with progress.task(f"Copying {source.bundle.name}", size) as task:
                    copy_hashed(source.bundle, temporary, size, task.advance)
            if record is not None:
                stage_provenance(bundle, temporary, record)
        if record is not None:
            write_provenance(bundle, record)
        remove_replaced(old, bundle)
        made = store.find(target)
    assert made is not None, "the bundle has just been copied"
    return made
