"""Files in the cache of huggingface_hub."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from huggingface_hub import constants

from litertlm.hub.failures import offline_error
from litertlm.hub.info import RepoFile, RepoInfo, check_path


def cached_file(repo: str, commit: str, path: str) -> Path | None:
    """The path of the file's blob in the cache (links resolved), or None."""
    found = _cache_folder(repo) / "snapshots" / commit / path
    return found.resolve() if found.is_file() else None


def _cache_folder(repo: str) -> Path:
    """Where huggingface_hub keeps the files of a model, in `snapshots/<commit>/`.

    `huggingface_hub.file_download` has functions for this; importing it doubles the time to the
    first request.
    """
    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


class CachedHub:
    """Replaces HubClient without a network: it serves files from the cache."""

    def info(self, repo: str, revision: str | None) -> RepoInfo | None:
        """The repository with the files that are in the cache, or None."""
        folder = _cache_folder(repo)
        commit = revision or "main"
        with contextlib.suppress(OSError):
            commit = (folder / "refs" / commit).read_text().strip()
        snapshot = folder / "snapshots" / commit
        if not re.fullmatch(r"[0-9a-f]{40}", commit) or not snapshot.is_dir():
            return None
        files = [_as_repo_file(p, snapshot, repo) for p in snapshot.rglob("*") if p.is_file()]
        return RepoInfo(
            repo=repo,
            revision=revision,
            commit=commit,
            files=tuple(sorted(files, key=lambda f: f.path)),
            gated=False,
            private=False,
            licence=None,
            tags=(),
            base_models=(),
            gguf_architecture=None,
        )

    def read(self, repo: str, commit: str, path: str, *, first: int | None = None) -> bytes:
        """As HubClient.read."""
        found = cached_file(repo, commit, path)
        if found is None:
            raise offline_error()
        with found.open("rb") as file:
            return file.read(first)

    def check_access(self, repo: str, commit: str, path: str) -> None:
        """Files on disk may be used without a check."""


def _as_repo_file(path: Path, snapshot: Path, repo: str) -> RepoFile:
    """A file of a snapshot; the cache names blobs by their hashes."""
    name = path.relative_to(snapshot).as_posix()
    check_path(name, repo)
    blob = path.resolve().name
    sha256 = blob if re.fullmatch(r"[0-9a-f]{64}", blob) else None
    git_id = blob if re.fullmatch(r"[0-9a-f]{40}", blob) else None
    return RepoFile(name, path.stat().st_size, sha256, git_id)
