"""The Hub's metadata of a repository, validated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.errors import NetworkError, UnsupportedModel
from litertlm.hub.client import HubClient

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RepoFile:
    """A file of a repository at one commit.

    Attributes:
        path: inside the repository, with `/`; validated by `check_path`.
        size: in bytes.
        sha256: of the content, for large files (LFS); else None.
        blob_id: git's SHA-1 of the content, for small files; else None.
    """

    path: str
    size: int
    sha256: str | None
    blob_id: str | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class RepoInfo:
    """A repository at one commit.

    Attributes:
        repo: `org/name` in the Hub's spelling.
        revision: the requested one; None for the default branch.
        commit: 40 hex digits; all files are downloaded at this commit.
        gated: whether a licence must be accepted first.
        licence: from the model card, such as `apache-2.0` or `gemma`, or None; one that the Hub
            has no identifier for (`other`) by its name.
        base_models: from the model card: the checkpoints that this one is derived from.
        gguf_architecture: of the GGUF files, if the Hub lists it.
    """

    repo: str
    revision: str | None
    commit: str
    files: tuple[RepoFile, ...]
    gated: bool
    private: bool
    licence: str | None
    tags: tuple[str, ...]
    base_models: tuple[str, ...]
    gguf_architecture: str | None

    def file(self, path: str) -> RepoFile | None:
        """The file at `path`, or None."""
        return next((f for f in self.files if f.path == path), None)


def repo_info(client: HubClient, repo: str, revision: str | None = None) -> RepoInfo:
    """Download a repository's metadata.

    Raises:
        ModelNotFound, AccessDenied, NetworkError: by the Hub's response.
        UnsupportedModel: it lists a file that cannot be stored safely.
    """
    answer = client.info_json(repo, revision)
    try:
        return _parse(answer, repo, revision)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NetworkError(
            f"The Hub's metadata of {repo} cannot be parsed.",
            why=f"{type(error).__name__}: {ascii(str(error))[:200]}",
            hint="Check HF_ENDPOINT.",
        ) from error


def _parse(answer: Mapping[str, Any], repo: str, revision: str | None) -> RepoInfo:
    commit = answer["sha"]
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"not a commit: {commit!r}")
    real_name = answer.get("id", repo)
    card = answer.get("cardData") or {}
    bases = card.get("base_model") or []
    tags = tuple(str(tag) for tag in answer.get("tags") or [])
    from_tags = [t.removeprefix("license:") for t in tags if t.startswith("license:")]
    return RepoInfo(
        repo=real_name if re.fullmatch(r"[\w.-]+/[\w.-]+", real_name, re.ASCII) else repo,
        revision=revision,
        commit=commit,
        files=tuple(_file(entry, repo) for entry in answer["siblings"]),
        gated=bool(answer.get("gated")),
        private=bool(answer.get("private")),
        licence=_licence(card) or _text(next(iter(from_tags), None)),
        tags=tags,
        base_models=tuple(str(b) for b in ([bases] if isinstance(bases, str) else bases)),
        gguf_architecture=_text((answer.get("gguf") or {}).get("architecture")),
    )


def _licence(card: Mapping[str, Any]) -> str | None:
    licence = _text(card.get("license"))
    return (_text(card.get("license_name")) or licence) if licence == "other" else licence


def _text(value: object) -> str | None:
    """`value` if it is a short text that is safe for a terminal."""
    return value if isinstance(value, str) and value.isprintable() and len(value) < 100 else None


def _file(entry: Mapping[str, Any], repo: str) -> RepoFile:
    path = entry["rfilename"]
    check_path(path, repo)
    large = entry.get("lfs") or {}
    size = large.get("size", entry.get("size"))
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 60:
        raise ValueError(f"no size for {path}")
    sha256, blob_id = large.get("sha256"), entry.get("blobId")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a sha256 of {path}: {sha256!r}")
    return RepoFile(path, size, sha256, None if sha256 or not blob_id else str(blob_id))


def check_path(path: str, repo: str) -> None:
    """Check a file name: one that leads out of the model's folder, or that no ordinary repository
    has, means that the repository is not to be trusted.

    Raises:
        UnsupportedModel: with the name in an escaped form.
    """
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        fault = "an absolute path"
    elif "\\" in path or any(part in ("", ".", "..") for part in parts):
        fault = "a path outside of the repository"
    elif any(not c.isprintable() for c in path):
        fault = "a control character in a file name"
    elif len(path.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        fault = "a file name that is too long"
    else:
        return
    raise UnsupportedModel(
        f"Refused {repo}: it lists {fault}.", why=f"The file name is {ascii(path)[:200]}."
    )


def check_case_conflicts(info: RepoInfo, files: Iterable[RepoFile]) -> None:
    """Check that no two names are the same file on case-insensitive file systems.

    Raises:
        UnsupportedModel: the repository has such a name for one of `files`.
    """
    by_name: dict[str, list[str]] = {}
    for file in info.files:
        by_name.setdefault(file.path.lower(), []).append(file.path)
    for file in files:
        same = by_name[file.path.lower()]
        if len(same) > 1:
            raise UnsupportedModel(
                f"Refused {info.repo}: it lists files whose names differ only in letter case.",
                why=", ".join(sorted(same)),
            )
