"""Files that huggingface_hub has downloaded before, for this program or another."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import try_to_load_from_cache


def cached_file(repo: str, commit: str, path: str) -> Path | None:
    """The file's content in the cache (the blob, links followed), or None."""
    found = try_to_load_from_cache(repo, path, revision=commit)
    return Path(found).resolve() if isinstance(found, str) else None
