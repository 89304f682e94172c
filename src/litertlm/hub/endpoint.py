"""`HF_ENDPOINT`. This module does not import huggingface_hub, which fails for some wrong values."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from litertlm.errors import UsageError


def check_endpoint(environment: Mapping[str, str]) -> None:
    """Check that `HF_ENDPOINT`, if it is set, is the URL of a server; it may have a path.

    Raises:
        UsageError: it is not. The value is not repeated, since it may have a password.
    """
    endpoint = environment.get("HF_ENDPOINT")
    if not endpoint:
        return
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            "HF_ENDPOINT is not a valid URL.",
            why="It must be like https://host, http://host:port or https://host/path.",
        )
