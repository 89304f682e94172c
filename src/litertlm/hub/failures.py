"""What the Hub's refusals mean, told by its `X-Error-Code` and `X-Error-Message` headers.

The status alone does not tell: a gated file answers 401 without a token and with a bad one, and
a private repository looks to strangers like one that does not exist.
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
_USUAL_GATED = "Access to model "  # others: a request under review or rejected, a token's limits


class Transient(Exception):
    """A failure that may pass: `error` is what to raise when it does not.

    `wait` is how many seconds the server asks to wait, None when it does not say.
    """

    def __init__(self, error: NetworkError, wait: float | None = None) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait = wait


class Unreachable(Transient):
    """Nobody answers at all: worth another try only while a download is under way."""


@dataclass(frozen=True)
class Refusal:
    """An answer with an error status. `code` and `message` are the Hub's own, or empty; `path` is
    that of the address."""

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
    """The licence of `repo` is not accepted, or nobody said who asks."""
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
    """The Hub does not know this token."""
    return AccessDenied(
        "The Hugging Face token is not valid.",
        why=f"It comes from {token.source}, and the Hub does not accept it.",
        hint=f"Create a new one at {TOKEN_PAGE}, or remove this one: open models need none.",
    )


def refusal_error(
    repo: str, revision: str | None, refusal: Refusal, token: Token | None
) -> LiteRtLmError:
    """The error for a refusal that is about neither a licence nor a bad token."""
    if refusal.code == "RevisionNotFound":
        return ModelNotFound(
            f"{repo} has no revision {revision or 'main'!r} on the Hub.",
            hint="--revision takes a branch, a tag or a commit; leave it out for the newest.",
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
            f"{token.source} may not see it.",
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
    """The network is switched off by the user."""
    return NetworkError(
        "The network is switched off, and this is not on disk.",
        why="HF_HUB_OFFLINE is set.",
        hint="Unset HF_HUB_OFFLINE to download.",
    )
