"""The models folder: `<org>/<name>/` with a bundle, its provenance, checkpoint and cache."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litertlm.bundle_format.constants import MAGIC
from litertlm.errors import DamagedBundle, UsageError
from litertlm.progress import Progress
from litertlm.store.files import is_temporary, remove, size_of
from litertlm.store.locks import locked
from litertlm.store.names import BUNDLE_SUFFIX, ModelName, is_name_part, safe_part
from litertlm.store.provenance import Provenance, commit_staged, provenance_of

REJECTED_SUFFIX = ".rejected"  # appended to the name of a bundle that failed its checks
DOWNLOADS = ".download"  # inside of a folder: downloads that can be resumed
LOCAL_ORG = "local"  # of models that were converted from local folders and files
EXTERNAL_CACHES = ".cache"  # of bundles outside of the models folder


@dataclass(frozen=True)
class InstalledModel:
    """A bundle on disk.

    Attributes:
        name: `org/name`; for a `.litertlm` file outside of the models folder, its stem.
        bundle: the `.litertlm` file.
        folder: the model's folder.
        cache_dir: where the runtime may keep its files.
        provenance: None for a bundle that was copied there by hand.
    """

    name: str
    bundle: Path
    folder: Path
    cache_dir: Path
    provenance: Provenance | None


@dataclass(frozen=True)
class DiskUsage:
    """Bytes on disk."""

    bundle: int
    cache: int
    checkpoint: int

    @property
    def total(self) -> int:
        return self.bundle + self.cache + self.checkpoint


@dataclass(frozen=True)
class Leftover:
    """Something that `prune` can remove, and why.

    Attributes:
        model: whose folder it is in; None for caches of bundles outside of the models folder.
    """

    path: Path
    size_bytes: int
    reason: str
    model: ModelName | None


class Store:
    """The models below `root`, which need not exist."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: ModelName) -> Path:
        return self.root / name.org / name.name

    def bundle_path(self, name: ModelName) -> Path:
        """Path of a converted bundle of this name."""
        return self.folder(name) / f"{name.name}{BUNDLE_SUFFIX}"

    def checkpoint_dir(self, name: ModelName) -> Path:
        """Folder of the downloaded checkpoint files of this name."""
        return self.folder(name) / "checkpoint"

    def names(self) -> list[ModelName]:
        """All models that have a folder here, sorted."""
        return sorted(
            ModelName(org.name, folder.name)
            for org in _subfolders(self.root)
            for folder in _subfolders(org)
        )

    def installed(self) -> list[InstalledModel]:
        """All models that have a bundle, sorted by name."""
        return [model for name in self.names() if (model := self.find(name))]

    def checkpoints_only(self) -> list[ModelName]:
        """Models of which only the checkpoint is on disk, such as the base of an adapter."""
        found = []
        for name in self.names():
            folder = self.checkpoint_dir(name)
            files = [p for p in _entries(folder) if not p.name.startswith(".")]
            if files and self.find(name) is None:
                found.append(name)
        return found

    def match(self, text: str) -> ModelName | None:
        """The installed name that equals `text` (`org/name` or `name`), in any letter case; None
        if there is none or more than one."""
        wanted = text.lower()
        found = [n for n in self.names() if wanted in {str(n).lower(), n.name.lower()}]
        exact = [n for n in found if str(n) == text]
        if exact:
            return exact[0]
        return found[0] if len(found) == 1 else None

    def find(self, name: ModelName, *, file: str | None = None) -> InstalledModel | None:
        """The model of this name, or None if it has no bundle.

        Of several bundles, the one named `file` is taken; without `file`, the one with the name
        of the model, else the newest.

        Raises:
            DamagedBundle: the file's size is not the one recorded when it was made.
        """
        folder = self.folder(name)
        if not folder.is_dir():
            return None
        bundles = _bundles(folder)
        if file is not None and file.lower().endswith(BUNDLE_SUFFIX):
            wanted = file.rpartition("/")[2].lower()
            bundles = [p for p in bundles if p.name.lower() == wanted]
        if not bundles:
            return None
        named = self.bundle_path(name)
        bundle = named if named in bundles else max(bundles, key=_modified)
        cache_dir = folder / "cache"
        return InstalledModel(str(name), bundle, folder, cache_dir, provenance_of(bundle))

    def sizes(self, model: InstalledModel) -> DiskUsage:
        return DiskUsage(
            bundle=size_of(model.bundle),
            cache=size_of(model.cache_dir),
            checkpoint=size_of(model.folder / "checkpoint"),
        )

    @contextlib.contextmanager
    def lock(self, name: ModelName, progress: Progress) -> Iterator[None]:
        """Be the only process that changes this model; leftovers of killed runs are removed.

        Raises:
            UsageError: the models folder is not writable.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(
                    locked(
                        self.root / ".locks" / f"{name.org}--{name.name}.lock",
                        f"Waiting for another process that is working on {name}...",
                        progress,
                    )
                )
                self.folder(name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                raise UsageError(
                    f"Cannot write to {self.root}.",
                    why=f"{error.strerror}: {error.filename}",
                    hint="Choose another folder with --models-dir or LITERT_LM_MODELS.",
                ) from error
            try:
                self._remove_temporary(name)
                yield
            finally:
                self._remove_temporary(name)
                _remove_empty(self.folder(name), self.root)

    def remove(self, name: ModelName, progress: Progress) -> int:
        """Remove a model with its checkpoint and cache; returns the bytes freed."""
        with self.lock(name, progress):
            folder = self.folder(name)
            # The bundles first: a removal that is killed leaves none without its record.
            freed = sum(remove(path) for path in _bundles(folder))
            return freed + remove(folder)

    def leftovers(self, *, caches: bool = False, checkpoints: bool = False) -> list[Leftover]:
        """What can be removed: unfinished files, bundles that failed their checks, and on request
        runtime caches (created again at the next start) and downloaded checkpoints, including
        those that adapters were merged into."""
        found = []
        for name in self.names():
            model = self.find(name)
            folder = self.folder(name)
            found += [_leftover(p, "unfinished", name) for p in _temporary_files(folder)]
            suffix = f"{BUNDLE_SUFFIX}{REJECTED_SUFFIX}"
            rejected = [p for p in _entries(folder) if p.name.endswith(suffix)]
            found += [_leftover(p, "failed its checks", name) for p in rejected]
            parts = (folder / DOWNLOADS, folder / "checkpoint" / DOWNLOADS)
            found += [_leftover(p, "unfinished download", name) for p in parts if p.is_dir()]
            cache, checkpoint = folder / "cache", folder / "checkpoint"
            if cache.is_dir() and model is None:
                found.append(_leftover(cache, "cache without a model", name))
            elif cache.is_dir() and caches:
                found.append(_leftover(cache, "cache", name))
            if checkpoint.is_dir() and checkpoints:
                reason = "checkpoint" if model else "checkpoint without a bundle"
                found.append(_leftover(checkpoint, reason, name))
        external = self.root / EXTERNAL_CACHES
        if external.is_dir() and caches:
            found.append(_leftover(external, "caches of bundles elsewhere", None))
        return found

    def prune(self, leftover: Leftover, progress: Progress) -> None:
        """Remove one of `leftovers()`; waits for other processes that use its model's lock."""
        if leftover.model is None:
            remove(leftover.path)
            return
        with self.lock(leftover.model, progress):
            remove(leftover.path)

    def external_cache(self, bundle: Path) -> Path:
        """The cache folder of a bundle outside of the models folder."""
        path_hash = hashlib.sha256(os.fsencode(bundle)).hexdigest()[:8]
        return self.root / EXTERNAL_CACHES / f"{safe_part(bundle.stem)}-{path_hash}"

    def _remove_temporary(self, name: ModelName) -> None:
        with contextlib.suppress(OSError):
            commit_staged(self.folder(name))
        for path in _temporary_files(self.folder(name)):
            # A helper program of a killed run may still write there: the next run removes it.
            with contextlib.suppress(OSError):
                remove(path)


def check_integrity(model: InstalledModel) -> None:
    """Compare the bundle's size with its provenance, and check its first bytes.

    Raises:
        DamagedBundle: its size differs, or it does not start with LITERTLM.
    """
    size = model.bundle.stat().st_size
    recorded = model.provenance.size_bytes if model.provenance else size
    with model.bundle.open("rb") as file:
        magic = file.read(len(MAGIC))
    if size != recorded:
        why = f"It has {size:,} bytes; {recorded:,} bytes were written."
    elif magic != MAGIC:
        why = "It does not start with LITERTLM."
    else:
        return
    raise DamagedBundle(f"Damaged bundle: {model.bundle}.", why=why)


def _subfolders(folder: Path) -> list[Path]:
    return [p for p in _entries(folder) if is_name_part(p.name) and p.is_dir()]


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; nothing if it does not exist, or another process has just removed it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _bundles(folder: Path) -> list[Path]:
    names = [p for p in _entries(folder) if p.name.endswith(BUNDLE_SUFFIX)]
    return [p for p in names if not p.name.startswith(".") and p.is_file()]


def _modified(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _temporary_files(folder: Path) -> list[Path]:
    inside = [folder, *_subfolders(folder)]
    return [p for place in inside for p in _entries(place) if is_temporary(p)]


def _leftover(path: Path, reason: str, model: ModelName | None) -> Leftover:
    return Leftover(path, size_of(path), reason, model)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:  # not empty
            return
        folder = folder.parent
