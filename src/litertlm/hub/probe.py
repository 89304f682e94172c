"""Whether the Hub answers, how fast, and whether it accepts the token; for `doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from litertlm.errors import NetworkError
from litertlm.hub.client import HubClient


@dataclass(frozen=True)
class HubAnswer:
    """The Hub answered.

    Attributes:
        first_seconds: of the first request, with the connection.
        next_seconds: of the next one.
        token_accepted: None without a token.
    """

    first_seconds: float
    next_seconds: float
    token_accepted: bool | None


def ask_hub(client: HubClient) -> HubAnswer:
    """Ask the Hub twice whose token it is.

    Raises:
        NetworkError: it cannot be reached, or does not answer like a Hub.
    """
    times, status = [], 0
    for _ in range(2):
        started = time.perf_counter()
        status = client.whoami_status()
        times.append(time.perf_counter() - started)
    if status not in (200, 401):
        raise NetworkError(f"The Hub answered {status}.", hint="Try again later.")
    return HubAnswer(times[0], times[1], None if client.token is None else status == 200)
