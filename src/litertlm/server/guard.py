"""What a request must satisfy before any endpoint sees it: host, origin and key."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from litertlm.server.errors import ApiError

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})
# The page asks its user for the key; its files are the same for everyone.
_OPEN_PATHS = frozenset({"/health", "/"})
_PAGE_FILES = "/page/"
_CORS_HEADERS = "authorization, content-type, x-api-key, anthropic-version, anthropic-beta"


@dataclass(frozen=True)
class Guard:
    """Who may send requests.

    Attributes:
        host: the address that the server listens on.
        api_key: the key that requests must have, or None.
        origins: of web pages on other hosts that may send requests; `*` for all.
    """

    host: str
    api_key: str | None = None
    origins: frozenset[str] = frozenset()

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request.

        Args:
            headers: names in lower case.

        Raises:
            ApiError: 403 for the host or the origin, 401 for the key.
        """
        if not self._host_is_ours(headers.get("host", "")):
            raise ApiError(
                403, "The Host header names another server (DNS rebinding).", "host_refused"
            )
        origin = headers.get("origin")
        if origin is not None and not self.allows_origin(origin, headers.get("host", "")):
            raise ApiError(
                403,
                f"Web pages of {origin[:200]} may not use this server; see --cors.",
                "origin_refused",
            )
        is_open = path in _OPEN_PATHS or path.startswith(_PAGE_FILES)
        if self.api_key is not None and not is_open and not self._has_key(headers):
            raise ApiError(401, "The API key is missing or wrong.", "invalid_api_key")

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a web page of `origin` may send requests."""
        if origin in self.origins or "*" in self.origins:
            return True
        parts = urlsplit(origin)
        return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()

    def may_change(self, client: str | None) -> bool:
        """Whether a request that passed `check` may download and delete models.

        Args:
            client: its address.
        """
        return self.api_key is not None or (client is not None and is_loopback(client))

    def cors_headers(self, origin: str) -> dict[str, str]:
        """The headers of answers to a web page of another host."""
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
            "Access-Control-Allow-Headers": _CORS_HEADERS,
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        expected = self.api_key or ""
        return hmac.compare_digest(given.encode(), expected.encode())

    def _host_is_ours(self, header: str) -> bool:
        """Whether a browser that was sent here by a foreign name cannot have made the request.

        Addresses are safe: a name is what DNS rebinding changes. With a key, a page that does not
        know it can do nothing, and a proxy may use any name.
        """
        try:
            name = (urlsplit(f"//{header}").hostname or "").lower().rstrip(".")
        except ValueError:
            return False
        if not name:
            return False
        if self.api_key is not None or name in _LOCAL_NAMES or name.endswith(".localhost"):
            return True
        if name == self.host.lower() or (not is_loopback(self.host) and name == _own_name()):
            return True
        return _is_address(name)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine only."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_name() -> str:
    return socket.gethostname().lower()
