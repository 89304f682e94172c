"""What schemathesis may ask of the server: short answers, and no models that it would lose."""

from __future__ import annotations

from typing import Any

import schemathesis

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_LOSES = {"/api/delete", "/api/pull"}
_TOKENS = 3


@schemathesis.hook
def after_load_schema(context: Any, schema: Any) -> None:
    schema.validate()


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case, kwargs: Any) -> None:
    body = case.body
    if not isinstance(body, dict):
        return
    if case.path in _LOSES:
        for name in ("model", "name"):
            if isinstance(body.get(name), str) and "demo" in body[name]:
                body[name] = "org/none"
        return
    if not case.path.startswith("/api/"):
        _shorten(body, *_LIMITS)
    elif isinstance(options := body.get("options") or {}, dict):
        body["options"] = options
        _shorten(options, "num_predict")


def _shorten(body: dict[str, Any], *limits: str) -> None:
    """Limit an answer. A limit that is not valid stays: it has to be refused."""
    for name in limits:
        if body.get(name) is None or _is_large(body[name]):
            body[name] = _TOKENS


def _is_large(limit: object) -> bool:
    return isinstance(limit, (int, float)) and limit > _TOKENS
