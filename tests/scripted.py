"""An engine that answers from a script and remembers what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from litertlm.runtime.engine import Attachment, Decoding, EngineInfo

STOP = "<|end|>"
RESTART = "<restart>"


class ScriptedSession:
    """Records every text; a token is a word with the blank before it."""

    def __init__(self, engine: ScriptedEngine, decoding: Decoding) -> None:
        self.engine = engine
        self.decoding = decoding
        self.given: list[str] = []
        self.cancelled = self.closed = False

    cached_tokens: int | None = None

    def generate(self, text: str, attachments: Sequence[Attachment] = ()) -> Iterator[str]:
        assert not self.closed
        self.given.append(text)
        answer = self.engine.answers.pop(0)
        for number, token in enumerate(words(answer)):
            if self.cancelled or number == self.decoding.max_tokens:
                return
            yield token

    def restart(self) -> bool:
        if self.engine.restarts:
            self.given.append(RESTART)
            self.cancelled = False
        return self.engine.restarts

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True


class ScriptedEngine:
    """Gives out its answers in order."""

    def __init__(
        self, answers: Sequence[str], context: int = 1000, *, restarts: bool = False
    ) -> None:
        self.answers = list(answers)
        self.restarts = restarts
        self.info = EngineInfo(context=context, backend="cpu", stop_texts=(STOP,))
        self.sessions: list[ScriptedSession] = []

    def tokenize(self, text: str) -> list[int]:
        return [hash(word) for word in words(text)]

    def open_session(self, decoding: Decoding, *, attachments: bool = False) -> ScriptedSession:
        self.sessions.append(ScriptedSession(self, decoding))
        return self.sessions[-1]

    def close(self) -> None:
        pass


def words(text: str) -> list[str]:
    """Words, each with the blank before it."""
    return [(" " if number else "") + word for number, word in enumerate(text.split(" ")) if word]


def render(
    messages: Sequence[dict[str, Any]], *, think: bool | None = None, tools: Sequence[Any] = ()
) -> str:
    """A template with a stop token after every message."""
    head = "" if think is None else f"<think={think}> "
    return head + "".join(f"{m['role']}: {m['content']}{STOP} " for m in messages) + "assistant: "
