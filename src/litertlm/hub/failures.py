"""Errors for the Hub's error responses, by its `X-Error-Code` and `X-Error-Message` headers.

The status is not enough: a gated file gives 401 without a token and with an invalid one, and a
private repository gives the same response as one that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.errors import (
    AccessDenied,
    GatedModel,
    LiteRtLmError,
    ModelNotFound,
    NetworkError,
)
from litertlm.hub.token import HOW_TO_SET_TOKEN, TOKEN_PAGE, Token

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
HUB_PAGE = "https://huggingface.co"
_USUAL_GATED = "Access to model "  # others: a pending or rejected request, a token's limits


class Transient(Exception):
    """A failure for which a retry may succeed; `error` is raised if none does.

    `wait` is the number of seconds that the server asks to wait, or None.
    """

    def __init__(self, error: NetworkError, wait: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait = wait


class Unreachable(Transient):
    """No response at all: retried only during a download."""


class TooSlow(Transient):
    """Data arrives more slowly than the minimum speed."""


@dataclass(frozen=True)
class Refusal:
    """A response with an error status. `code` and `message` are the Hub's, or empty; `path` is
    that of the URL."""

    status: int
    code: str
    message: str
    path: str

    @property
    def is_bad_token(self) -> bool:
        return self.status == 401 and "invalid credentials" in self.message.lower()

    @property
    def is_gated(self) -> bool:
        return self.code == "GatedRepo"


def gated_error(repo: str, token: Token | None, message: str = "") -> GatedModel:
    """The licence of `repo` is not accepted, or there is no token."""
    hint = (
        "Please:\n"
        f"  1. Visit: {HUB_PAGE}/{repo}\n"
        "  2. Click 'Agree and access repository'\n"
        "  3. Wait a few minutes for access to be granted\n"
        "  4. Try the conversion again"
    )
    if token is None:
        hint += f"\n\nNo Hugging Face token was found.\n{HOW_TO_SET_TOKEN}"
    elif not message.startswith(_USUAL_GATED):
        hint += f"\n\nThe Hub says: {message}"
    return GatedModel(
        f"Cannot access gated model {repo}.",
        why="This model requires accepting a license agreement.",
        hint=hint,
    )


def bad_token_error(token: Token) -> AccessDenied:
    """The Hub does not accept this token."""
    return AccessDenied(
        "The Hugging Face token is not valid.",
        why=f"It comes from {token.source}, and the Hub does not accept it.",
        hint=f"Create a new one at {TOKEN_PAGE}, or remove this one: open models need no token.",
    )


def refusal_error(
    repo: str, revision: str | None, refusal: Refusal, token: Token | None
) -> LiteRtLmError:
    """The error for a refusal whose reason is neither a licence nor an invalid token."""
    if refusal.code == "RevisionNotFound":
        return ModelNotFound(
            f"{repo} has no revision {revision or 'main'!r} on the Hub.",
            hint="--revision takes a branch, a tag or a commit; omit it for the newest commit.",
        )
    if refusal.code == "EntryNotFound":
        return ModelNotFound(f"{repo} on the Hub has no file {refusal.path.rpartition('/')[2]}.")
    if refusal.code == "RepoNotFound" or (refusal.status == 404 and not refusal.code):
        if token is None:
            return ModelNotFound(
                f"No model {repo} on the Hub.",
                why="It does not exist, or it is private and no token was found.",
                hint=f"Check the name. For a private model:\n{HOW_TO_SET_TOKEN}",
            )
        return ModelNotFound(
            f"No model {repo} on the Hub.",
            why="It does not exist, or it is private and the token from "
            f"{token.source} has no access to it.",
            hint="Check the name.",
        )
    if "disabled" in refusal.message.lower():
        return AccessDenied(f"The Hub has disabled {repo}.", why=refusal.message)
    if refusal.status in (401, 403):
        return AccessDenied(
            f"The Hub refuses access to {repo}.",
            why=refusal.message,
            hint=HOW_TO_SET_TOKEN
            if token is None
            else f"The token from {token.source} needs read access to {repo}.",
        )
    return NetworkError(
        f"The Hub answered {refusal.status} to a request about {repo}.", why=refusal.message
    )


def offline_error() -> NetworkError:
    """The user has disabled the network."""
    return NetworkError(
        "Offline, and the model is not on disk.",
        why="HF_HUB_OFFLINE is set.",
        hint="Unset HF_HUB_OFFLINE to download.",
    )
