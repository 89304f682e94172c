"""The models folder: `<org>/<name>/` with a bundle, its provenance, checkpoint and cache."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litertlm.bundle_format.constants import MAGIC
from litertlm.errors import DamagedBundle, UsageError
from litertlm.progress import Progress
from litertlm.store.files import is_temporary, remove, size_of
from litertlm.store.locks import locked
from litertlm.store.names import BUNDLE_SUFFIX, ModelName, is_name_part, safe_part
from litertlm.store.provenance import Provenance, provenance_of, settle

REJECTED_SUFFIX = ".rejected"  # after a bundle's name: it failed its checks
DOWNLOADS = ".download"  # inside a folder that is being downloaded to: parts to go on with
LOCAL_ORG = "local"  # of models that were made from local folders and files
OUTSIDE_CACHES = ".cache"  # of bundles that lie elsewhere


@dataclass(frozen=True)
class InstalledModel:
    """A bundle on disk.

    Attributes:
        name: `org/name`; for a `.litertlm` file outside the models folder, the file's stem.
        bundle: the `.litertlm` file.
        folder: the model's folder.
        cache_dir: where the runtime may keep its files.
        provenance: None for a bundle that was put there by hand.
    """

    name: str
    bundle: Path
    folder: Path
    cache_dir: Path
    provenance: Provenance | None


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk."""

    bundle: int
    cache: int
    checkpoint: int

    @property
    def total(self) -> int:
        return self.bundle + self.cache + self.checkpoint


@dataclass(frozen=True)
class Leftover:
    """Something that `prune` can remove, and why nobody misses it.

    Attributes:
        model: whose folder it lies in; None for caches of bundles outside the models folder.
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
        """Where a converted bundle of this name lies."""
        return self.folder(name) / f"{name.name}{BUNDLE_SUFFIX}"

    def checkpoint_dir(self, name: ModelName) -> Path:
        """Where downloaded checkpoint files of this name lie."""
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

    def checkpoints_alone(self) -> list[ModelName]:
        """Models of which only the checkpoint is here, such as the base of an adapter."""
        found = []
        for name in self.names():
            folder = self.checkpoint_dir(name)
            files = [p for p in folder.glob("*") if not p.name.startswith(".")]
            if files and self.find(name) is None:
                found.append(name)
        return found

    def match(self, text: str) -> ModelName | None:
        """The name here that equals `text` (`org/name` or `name` alone), letter case aside;
        None when there is none or more than one."""
        wanted = text.lower()
        found = [n for n in self.names() if wanted in {str(n).lower(), n.name.lower()}]
        exact = [n for n in found if str(n) == text]
        if exact:
            return exact[0]
        return found[0] if len(found) == 1 else None

    def find(self, name: ModelName, *, file: str | None = None) -> InstalledModel | None:
        """The model of this name, or None when no bundle is there.

        Of several bundles the one with the name of `file` is taken; without one, that named like
        the model, else the newest.

        Raises:
            DamagedBundle: the file's size is not the one recorded when it was made.
        """
        folder = self.folder(name)
        if not folder.is_dir():
            return None
        bundles = [p for p in folder.glob(f"*{BUNDLE_SUFFIX}") if p.is_file()]
        bundles = [p for p in bundles if not p.name.startswith(".")]
        if file is not None and file.lower().endswith(BUNDLE_SUFFIX):
            wanted = file.rpartition("/")[2].lower()
            bundles = [p for p in bundles if p.name.lower() == wanted]
        if not bundles:
            return None
        named = self.bundle_path(name)
        bundle = named if named in bundles else max(bundles, key=lambda p: p.stat().st_mtime)
        cache_dir = folder / "cache"
        return InstalledModel(str(name), bundle, folder, cache_dir, provenance_of(bundle))

    def sizes(self, model: InstalledModel) -> Sizes:
        return Sizes(
            bundle=size_of(model.bundle),
            cache=size_of(model.cache_dir),
            checkpoint=size_of(model.folder / "checkpoint"),
        )

    @contextlib.contextmanager
    def lock(self, name: ModelName, progress: Progress) -> Iterator[None]:
        """Be the only process that changes this model; what killed runs left is removed.

        Raises:
            UsageError: nothing can be written below the models folder.
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
            return remove(self.folder(name))

    def leftovers(self, *, caches: bool = False, checkpoints: bool = False) -> list[Leftover]:
        """What can go: unfinished files, bundles that failed their checks, and, as asked, runtime
        caches (made again at the next start) and downloaded checkpoints, also those that adapters
        were merged into."""
        found = []
        for name in self.names():
            model = self.find(name)
            folder = self.folder(name)
            found += [_leftover(p, "unfinished", name) for p in _temporary_files(folder)]
            rejected = folder.glob(f"*{BUNDLE_SUFFIX}{REJECTED_SUFFIX}")
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
        outside = self.root / OUTSIDE_CACHES
        if outside.is_dir() and caches:
            found.append(_leftover(outside, "caches of bundles elsewhere", None))
        return found

    def prune(self, leftover: Leftover, progress: Progress) -> None:
        """Remove one of `leftovers()`, unless a process is at work on its model."""
        if leftover.model is None:
            remove(leftover.path)
            return
        with self.lock(leftover.model, progress):
            remove(leftover.path)

    def outside_cache(self, bundle: Path) -> Path:
        """The cache folder of a bundle that lies outside the models folder."""
        place = hashlib.sha256(str(bundle).encode()).hexdigest()[:8]
        return self.root / OUTSIDE_CACHES / f"{safe_part(bundle.stem)}-{place}"

    def _remove_temporary(self, name: ModelName) -> None:
        with contextlib.suppress(OSError):
            settle(self.folder(name))
        for path in _temporary_files(self.folder(name)):
            # A helper program of a killed run may still write there: the next run removes it.
            with contextlib.suppress(OSError):
                remove(path)


def check_whole(model: InstalledModel) -> None:
    """Compare the bundle with what was recorded when it was made; reads nothing large.

    Raises:
        DamagedBundle: it has another size, or does not begin like a `.litertlm` file.
    """
    size = model.bundle.stat().st_size
    recorded = model.provenance.size_bytes if model.provenance else size
    with model.bundle.open("rb") as file:
        magic = file.read(len(MAGIC))
    if size != recorded:
        why = f"It has {size} bytes and was made with {recorded}."
    elif magic != MAGIC:
        why = "It does not begin like a .litertlm file."
    else:
        return
    raise DamagedBundle(f"Damaged bundle: {model.bundle}.", why=why)


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if is_name_part(p.name) and p.is_dir()]


def _temporary_files(folder: Path) -> list[Path]:
    inside = [folder, *_subfolders(folder)]
    return [p for place in inside if place.is_dir() for p in place.iterdir() if is_temporary(p)]


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
