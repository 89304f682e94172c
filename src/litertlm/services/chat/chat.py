"""A conversation: its messages, what of them the engine's cache holds, and the next answer.

The complete history is rendered to text for every answer. Where that text begins with what is in
a session's cache, only the rest is prefilled; where a template rewrites earlier turns (Qwen3
drops their thinking) or the user edits them, the session is started again, and the engine computes
what follows the first change (session_pool.py). The model always sees the bytes of
`apply_chat_template` for the complete history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from litertlm.errors import LiteRtLmError
from litertlm.runtime.engine import Attachment, Decoding, Engine, Session, prompt_too_long
from litertlm.services.chat.session_pool import SessionPool
from litertlm.services.chat.stream import Piece, Splitter, StopFinder

Message = dict[str, Any]


class Render(Protocol):
    """Turns messages into the prompt's text."""

    def __call__(
        self,
        messages: Sequence[Message],
        *,
        think: bool | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """The complete prompt, up to where the answer begins.

        Args:
            messages: `role` and `content` each; a list of parts (`type` and `text`) where a
                message has attachments.
            think: the template's `enable_thinking`, or None to leave it to the template.
            tools: JSON schemas of functions that the model may call.
        """


@dataclass(frozen=True)
class ChatOptions:
    """How answers are made.

    Attributes:
        decoding: what the engine does.
        stop: strings that end an answer and are not part of it.
        think: see `Render`.
        markers: texts around `thinking` and `tool` calls, where the model has them.
        tools: JSON schemas of functions that the model may call.
        drop_oldest: whether the oldest turns are left out of a prompt that does not fit the
            context; else that is an error.
        new_session: begin with the seed's random numbers, and so with an empty cache.
    """

    decoding: Decoding = field(default_factory=Decoding)
    stop: tuple[str, ...] = ()
    think: bool | None = None
    markers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    drop_oldest: bool = True
    new_session: bool = False


@dataclass(frozen=True)
class Answer:
    """A finished answer.

    Attributes:
        text: without the thinking.
        thinking: empty where there was none.
        finish_reason: `stop` (the model ended it), `stop_string`, `max_tokens`, `context` (full)
            or `interrupted`.
        prompt_tokens: of the complete prompt.
        reused_tokens: of these, what was in the cache from before.
        answer_tokens: with the thinking.
        first_token_s, total_s: seconds from the question to the first and the last token.
        dropped_messages: messages left out of the prompt so that it fits.
    """

    text: str
    thinking: str
    finish_reason: str
    prompt_tokens: int
    reused_tokens: int
    answer_tokens: int
    first_token_s: float
    total_s: float
    dropped_messages: int

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed after the first token."""
        seconds = self.total_s - self.first_token_s
        return (self.answer_tokens - 1) / seconds if seconds > 0 and self.answer_tokens > 1 else 0.0


class Chat:
    """One conversation with one loaded model.

    Args:
        engine: the model.
        render: the model's chat template.
        options: how answers are made; may be replaced between answers.
        notice: receives messages for the user, such as that turns were left out.
        cancel_render: lets a running `render` raise `KeyboardInterrupt`.
        clock: seconds, for the timings.
        pool: the sessions, which may be shared with other conversations; None for one session.
    """

    def __init__(
        self,
        engine: Engine,
        render: Render,
        options: ChatOptions,
        *,
        notice: Callable[[str], None],
        cancel_render: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
        pool: SessionPool | None = None,
    ) -> None:
        self.system: str | None = None
        self.messages: list[Message] = []
        self.options = options
        self.last: Answer | None = None
        self._engine = engine
        self._render = render
        self.notice = notice
        self._cancel_render = cancel_render
        self._clock = clock
        self._first_sent = 0
        self._pool = SessionPool(engine) if pool is None else pool
        self._session: Session | None = None
        # Tokens beyond its mark in the text; known after the first answer.
        self._attachment_tokens: dict[Attachment, int] = {}
        self._cancelled = False

    def say(self, content: str, attachments: Sequence[Attachment] = ()) -> None:
        """Add a user message, to be answered by `proceed`.

        Args:
            attachments: go to the model before the text, if the engine was loaded for their kinds.
        """
        message: Message = {"role": "user", "content": content}
        if attachments:
            message["attachments"] = tuple(attachments)
        self.messages.append(message)

    def proceed(self) -> Iterator[Piece]:
        """Stream the answer to the messages; afterwards it is `last`, and the last message.

        Raises:
            UsageError: the last message alone is longer than the context; it is not kept.
            EngineFailed: the runtime failed; the message is not kept.
            TemplateError: the chat template refuses the messages, or exceeds a limit.
            KeyboardInterrupt: `cancel` was called before there was a prompt.
        """
        count = len(self.messages)
        answered = False
        try:
            yield from self._answer()
            answered = len(self.messages) > count
        finally:
            if not answered and self.messages and self.messages[-1]["role"] == "user":
                self.messages.pop()

    def cancel(self) -> None:
        """End a running answer soon, keeping its text; safe in a signal handler."""
        self._cancelled = True
        self._cancel_render()
        if self._session is not None:
            self._session.cancel()

    @property
    def filled(self) -> float:
        """The part of the context that the conversation takes, as it is sent.

        0 where there is none yet, or where the template refuses it: the next answer will say so.
        """
        try:
            return self.used_tokens() / self._engine.info.context
        except LiteRtLmError:
            return 0.0

    def rewind(self) -> bool:
        """Remove what followed the last question, to answer it again; False if there is none."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index]["role"] == "user":
                del self.messages[index + 1 :]
                return True
        return False

    def undo(self) -> Message | None:
        """Take back the last question with its answer; return the question, None if none."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index]["role"] == "user":
                question = self.messages[index]
                del self.messages[index:]
                self._first_sent = min(self._first_sent, len(self.messages))
                return question
        return None

    def clear(self) -> None:
        """Remove all messages but the system message."""
        self.messages.clear()
        self._first_sent = 0

    def prompt_text(self) -> str:
        """What the model was sent last, or would be sent: the rendered messages."""
        messages = [_in_parts(message) for message in self._sent()]
        return self._render(messages, think=self.options.think, tools=self.options.tools)

    def used_tokens(self) -> int:
        """Tokens of the conversation as it is sent."""
        return self._count(self.prompt_text()) if self.messages else 0

    def attachments(self) -> tuple[Attachment, ...]:
        """Those of the conversation as it is sent."""
        return tuple(file for message in self._sent() for file in message.get("attachments", ()))

    def close(self) -> None:
        """Free the sessions."""
        self._session = None
        self._pool.close()

    def _sent(self) -> list[Message]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return system + self.messages[self._first_sent :]

    def _answer(self) -> Iterator[Piece]:
        began = self._clock()
        self._cancelled = False
        text, prompt_tokens = self._fit()
        attachments = self.attachments()
        taken = self._pool.take(
            self.options.decoding, text, attachments, new=self.options.new_session
        )
        rest, new = taken.rest, taken.new_attachments
        session = self._session = taken.held.session
        if rest != text:
            new_tokens = len(self._engine.tokenize(rest)) + self._tokens_of(new)
        else:
            # The engine computes the last token in any case.
            new_tokens = max(1, prompt_tokens - taken.common_tokens)
        stop = StopFinder(self.options.stop)
        splitter = self._splitter(text)
        raw = ""
        pieces: list[Piece] = []
        first = 0.0
        completed, chunks = False, 0
        stream = session.generate(rest, new)
        try:
            for chunk in stream:
                first = first or self._clock() - began
                chunks += 1
                shown = stop.feed(chunk)
                raw += shown
                for piece in splitter(shown) if shown else ():
                    pieces.append(piece)
                    yield piece
                if stop.stopped or self._cancelled:
                    break
            completed = not stop.stopped and not self._cancelled
            rest_of_stop = stop.finish()
            raw += rest_of_stop
            for piece in [*(splitter(rest_of_stop) if rest_of_stop else ()), *splitter(None)]:
                pieces.append(piece)
                yield piece
        finally:
            # A character of several tokens is one chunk.
            answer_tokens = max(chunks, len(self._engine.tokenize(raw)))
            if completed and new:
                more = self._measure(session, prompt_tokens + answer_tokens, new)
                prompt_tokens += more
                new_tokens += more
            reason = self._finish_reason(stop, completed, prompt_tokens, answer_tokens)
            ends: tuple[str, ...] = ("",) if completed else ()
            if reason == "stop":
                # The cache holds the stop token too; the runtime does not report which one.
                ends = self._engine.info.stop_texts
            if not completed:
                session.cancel()  # what its cache holds beyond the kept text is not known
            self._session = None
            self._pool.give_back(taken.held, text + raw, ends, attachments)
            if raw:
                self.messages.append({"role": "assistant", "content": raw})
            self.last = Answer(
                text="".join(piece.text for piece in pieces if piece.kind == "text"),
                thinking="".join(piece.text for piece in pieces if piece.kind == "thinking"),
                finish_reason=reason,
                prompt_tokens=prompt_tokens,
                reused_tokens=prompt_tokens - new_tokens,
                answer_tokens=answer_tokens,
                first_token_s=first,
                total_s=self._clock() - began,
                dropped_messages=self._first_sent,
            )

    def _measure(self, session: Session, counted: int, new: Sequence[Attachment]) -> int:
        """Learn what attachments take from what the session holds after the answer to them.

        Args:
            counted: tokens of prompt and answer by what was known before.

        Returns:
            Tokens of the prompt that were not counted.
        """
        unknown = [file for file in new if file not in self._attachment_tokens]
        cached = session.cached_tokens
        if cached is None or not unknown:
            return 0
        each = max(0, round((cached - counted) / len(unknown)))
        self._attachment_tokens.update(dict.fromkeys(unknown, each))
        return each * len(unknown)

    def _tokens_of(self, attachments: Sequence[Attachment]) -> int:
        """What is known of the tokens that attachments take beyond their marks in the text."""
        return sum(self._attachment_tokens.get(file, 0) for file in attachments)

    def _finish_reason(
        self, stop: StopFinder, completed: bool, prompt_tokens: int, answer_tokens: int
    ) -> str:
        if stop.stopped:
            return "stop_string"
        if not completed:
            return "interrupted"
        limit = self.options.decoding.max_tokens
        if limit is not None and answer_tokens >= limit:
            return "max_tokens"
        # The runtime needs a free place for the token that it decodes next.
        if prompt_tokens + answer_tokens >= self._engine.info.context - 1:
            return "context"
        return "stop"

    def _fit(self) -> tuple[str, int]:
        """The prompt's text and tokens, with as few of the oldest turns left out as needed."""
        context = self._engine.info.context
        room = max(1, min(self.options.decoding.max_tokens or context, context // 4))
        before = self._first_sent
        limit = context - room
        while True:
            text = self.prompt_text()
            tokens = self._count(text)
            if tokens <= limit:
                break
            later = self._next_user_message() if self.options.drop_oldest else None
            if later is None:
                if tokens < context:
                    break
                self._first_sent = before
                raise prompt_too_long(tokens, context)
            self._first_sent = later
            # Once turns must go, half of the context is freed: the next answers then
            # continue on what is in the cache, where one turn at a time would prefill
            # everything again for each.
            limit = context // 2
        if self._first_sent and not before:
            self.notice(
                f"The conversation no longer fits the context of {context:,} tokens: the oldest "
                f"{self._first_sent} messages are no longer sent to the model (the system message "
                "is). Use a larger --context, or /clear to start over."
            )
        return text, tokens

    def _count(self, prompt: str) -> int:
        """Tokens of a prompt with attachments, and of what a session begins with by itself."""
        start = self._engine.info.start_text
        text_tokens = len(self._engine.tokenize(start + prompt.removeprefix(start)))
        return text_tokens + self._tokens_of(self.attachments())

    def _next_user_message(self) -> int | None:
        for index in range(self._first_sent + 1, len(self.messages)):
            if self.messages[index]["role"] == "user":
                return index
        return None

    def _splitter(self, prompt: str) -> Callable[[str | None], list[Piece]]:
        """Cuts text into pieces; None ends it."""
        markers = self.options.markers
        if not markers:
            return lambda text: [Piece("text", text)] if text else []
        end = prompt.rstrip()
        inside = next((kind for kind, (start, _) in markers.items() if end.endswith(start)), "text")
        splitter = Splitter(markers, inside=inside)
        return lambda text: splitter.finish() if text is None else splitter.feed(text)


def _in_parts(message: Message) -> Message:
    """A message as templates want it: with attachments, its content is a list of parts."""
    attachments = message.get("attachments")
    if not attachments:
        return message
    parts = [{"type": file.kind} for file in attachments]
    parts.append({"type": "text", "text": message["content"]})
    return {"role": message["role"], "content": parts}
