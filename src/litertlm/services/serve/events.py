"""What goes to a worker process and what comes back: one JSON object per line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from litertlm.errors import LiteRtLmError


@dataclass(frozen=True)
class Request:
    """One answer that a client wants.

    Attributes:
        messages: as for the chat template; images of a message are in its key `images`, in base64.
        raw: the text of the messages goes to the model without a template.
        options: values of `RunOptions` by name.
        tools: JSON schemas of functions, as `{"type": "function", "function": {...}}`.
        drop_oldest: see `ChatOptions`.
        count_only: the tokens of the prompt are wanted, and no answer.
    """

    messages: tuple[Mapping[str, Any], ...]
    raw: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    drop_oldest: bool = False
    count_only: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """As data."""
        return asdict(self)


@dataclass(frozen=True)
class TextPiece:
    """Some text of an answer.

    Attributes:
        kind: `text` or `thinking`.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Finished:
    """The end of an answer.

    Attributes:
        reason: as `Answer.finish_reason`, or `tool_calls`.
        prompt_tokens, reused_tokens, answer_tokens, first_token_s, total_s: as in `Answer`.
        calls: `{"name": ..., "arguments": {...}}` each.
        load_s: seconds that the request waited for the model to be loaded.
        dropped_messages: the oldest messages, which were left out so that the prompt fits.
    """

    reason: str
    prompt_tokens: int
    reused_tokens: int
    answer_tokens: int
    first_token_s: float
    total_s: float
    calls: tuple[Mapping[str, Any], ...] = ()
    load_s: float = 0.0
    dropped_messages: int = 0


Event = TextPiece | Finished


class Failed(LiteRtLmError):
    """An error of a worker, or the end of its process.

    Attributes:
        kind: the name of the error's class; `WorkerCrashed` if the process ended.
    """

    def __init__(self, kind: str, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.kind = kind


def error_fields(error: LiteRtLmError) -> dict[str, str]:
    """An error as data."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
    }
