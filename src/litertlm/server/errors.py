"""Errors as HTTP statuses."""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.errors import (
    AccessDenied,
    LiteRtLmError,
    ModelNotFound,
    NetworkError,
    NotEnoughResources,
    UnsupportedModel,
    UsageError,
)
from litertlm.services.serve import Failed

RETRY_AFTER_S = 2


@dataclass(eq=False)
class ApiError(Exception):
    """What a client gets instead of an answer.

    Attributes:
        status: of HTTP.
        message: for people.
        code: for programs, such as `model_not_found`.
        param: the field of the request, or None.
    """

    status: int
    message: str
    code: str = "invalid_request"
    param: str | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def openai_type(self) -> str:
        """The `type` in OpenAI's errors."""
        return {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )

    @property
    def anthropic_type(self) -> str:
        """The `type` in Anthropic's errors."""
        return {
            401: "authentication_error",
            403: "permission_error",
            404: "not_found_error",
            413: "request_too_large",
            429: "rate_limit_error",
            503: "overloaded_error",
        }.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")


_STATUS: dict[str, tuple[int, str]] = {
    "Busy": (429, "rate_limit_exceeded"),
    UsageError.__name__: (400, "invalid_request"),
    "TemplateError": (400, "invalid_request"),
    "TemplateLimit": (400, "invalid_request"),
    UnsupportedModel.__name__: (400, "unsupported"),
    ModelNotFound.__name__: (404, "model_not_found"),
    AccessDenied.__name__: (403, "access_denied"),
    "GatedModel": (403, "access_denied"),
    NotEnoughResources.__name__: (503, "not_enough_resources"),
    NetworkError.__name__: (502, "network_error"),
    "WorkerCrashed": (500, "worker_crashed"),
}
_TOO_LONG = "The prompt has "


def api_error(error: LiteRtLmError) -> ApiError:
    """The error of a service as an HTTP error."""
    kind = error.kind if isinstance(error, Failed) else type(error).__name__
    status, code = _STATUS.get(kind, (500, "internal_error"))
    if status == 400 and error.what.startswith(_TOO_LONG):
        code = "context_length_exceeded"
    return ApiError(status, f"{error.what} {error.why}".strip(), code)
