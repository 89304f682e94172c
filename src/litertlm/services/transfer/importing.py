"""`import`: a bundle from a file into the models folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from litertlm import __version__
from litertlm.bundle_format.info import read_bundle_info, template_variables
from litertlm.errors import DamagedBundle, UsageError
from litertlm.progress import Progress
from litertlm.services.transfer.target_name import (
    check_free,
    check_space,
    parse_target,
    remove_replaced,
)
from litertlm.services.verify import Verdict, check_structure
from litertlm.store import (
    LOCAL_ORG,
    InstalledModel,
    ModelName,
    Provenance,
    Store,
    parse_name,
    read_record,
    safe_part,
    stage_provenance,
    timestamp,
    write_provenance,
)
from litertlm.store.files import atomic_write, copy_hashed
from litertlm.store.provenance import provenance_of

_AGAIN = "Copy the file again from where it came, or export it again."


def import_bundle(
    path: Path, name: str | None, *, force: bool, store: Store, progress: Progress
) -> InstalledModel:
    """Copy a `.litertlm` file into the models folder, without the record at its end.

    Its provenance is the record at its end, or that of a `<name>.json` beside it.

    Args:
        name: what it is called; None for its recorded name, else `local/<file name>`.
        force: replace a model of that name.

    Raises:
        ModelNotFound: there is no such file.
        DamagedBundle: the file is damaged or is not the recorded one; nothing is written.
        UsageError: the name is taken or is no name.
    """
    embedded = read_record(path)
    check = check_structure(path, sha256=None, size_bytes=None)
    if check.verdict is Verdict.FAILED:
        raise DamagedBundle(f"{path} is damaged.", why="\n".join(check.problems), hint=_AGAIN)
    template_variables(read_bundle_info(path))
    beside = provenance_of(path) if embedded is None else None
    known = embedded or beside
    size = embedded.size_bytes if embedded else path.stat().st_size
    target = _target(name, known, path)
    with store.lock(target, progress):
        old = store.find(target)
        if old and known and old.provenance and old.provenance.sha256 == known.sha256 and not force:
            return old
        check_free(target, store, force=force)
        bundle = store.bundle_path(target)
        check_space(bundle.parent, size, str(target))
        with atomic_write(bundle) as temporary:
            with progress.task(f"Importing {path.name}", size) as task:
                sha256 = copy_hashed(path, temporary, size, task.advance)
            if known is not None and (known.sha256, known.size_bytes) != (sha256, size):
                raise DamagedBundle(
                    f"{path} is damaged.",
                    why="Its SHA-256 differs from the one in its provenance.",
                    hint=_AGAIN,
                )
            record = known or _new_record(path, sha256, size)
            record = replace(record, model=str(target))
            stage_provenance(bundle, temporary, record)
        write_provenance(bundle, record)
        remove_replaced(old, bundle)
        made = store.find(target)
    assert made is not None, "the bundle has just been copied"
    return made


def _target(name: str | None, known: Provenance | None, path: Path) -> ModelName:
    if name is not None:
        return parse_target(name)
    if known is not None:
        try:
            return parse_name(known.model)
        except (UsageError, AttributeError):  # written by hand
            pass
    return ModelName(LOCAL_ORG, safe_part(path.stem))


def _new_record(path: Path, sha256: str, size: int) -> Provenance:
    return Provenance(
        model="",
        source="local",
        origin=path.name,
        sha256=sha256,
        size_bytes=size,
        created=timestamp(),
        versions={"litert-lm-cli": __version__},
    )
