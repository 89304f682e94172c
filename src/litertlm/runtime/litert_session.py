"""Native sessions of LiteRT-LM's Python package: see `engine.Session`."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from litertlm.runtime.engine import Attachment, Decoding, Sampling
from litertlm.runtime.native_errors import native_error
from litertlm.runtime.native_rewind import Rewind
from litertlm.runtime.stderr_capture import captured_stderr

_POLL_SECONDS = 0.05  # until a cancelled prefill is noticed; a finished one is noticed at once


class _NativeSession:
    """Waiting for an answer and cancelling it, for both kinds of native sessions.

    Until the first token native code blocks, cannot be cancelled (in litert-lm-api 0.18.1 the
    session then hangs), and Python runs no signal handlers. So this part runs in its own thread,
    and a caller that cancels does not wait for it.
    """

    _open: Callable[[], Any]

    def __init__(self, start_text: str) -> None:
        self._native: Any = None
        self._cancelled = False
        self._decoding = False
        self._abandoned: threading.Thread | None = None
        # The runtime adds it before the first text, even if that begins with it.
        self._start_text = start_text
        self._chunks: Iterator[str] = iter(())
        self._decoded = False

    @property
    def cached_tokens(self) -> int | None:
        return None

    def generate(self, text: str, attachments: Sequence[Attachment] = ()) -> Iterator[str]:
        self._cancelled = self._decoding = self._decoded = False
        text, self._start_text = text.removeprefix(self._start_text), ""
        chunks = self._chunks = self._decode()
        first: list[str | None] = []
        failed: list[RuntimeError] = []

        def begin() -> None:
            try:
                if self._native is None:
                    # Waits until the previous session's prefill has ended.
                    self._native = self._open()
                self._prefill(text, attachments)
                if not self._cancelled:
                    first.append(next(chunks, None))
                    self._decoded = True
                    if self._cancelled:
                        self._cancel()
            except RuntimeError as error:
                failed.append(error)

        # This program writes nothing to stderr now, so the captured text is native code's.
        with captured_stderr() as printed:
            thread = threading.Thread(target=begin, name="prefill", daemon=True)
            thread.start()
            try:
                while thread.is_alive() and not self._cancelled:
                    thread.join(_POLL_SECONDS)
            finally:
                if thread.is_alive():
                    self._abandoned = thread
        if failed:
            what = "The runtime could not process the prompt."
            raise native_error(what, printed(), failed[0]) from failed[0]
        if self._abandoned or not first:
            return
        (chunk,) = first
        try:
            while chunk is not None:
                self._decoding = True
                yield chunk
                if self._cancelled:
                    self._cancel()
                chunk = self._next(chunks)
        except RuntimeError as error:
            raise native_error("The runtime stopped during an answer.", "", error) from error
        except KeyboardInterrupt:
            if self._decoding:
                self._cancel()
            raise
        finally:
            self._decoding = False

    def restart(self) -> bool:
        return False

    def cancel(self) -> None:
        self._cancelled = True
        if self._decoding:
            self._cancel()

    def close(self) -> None:
        """Free the native session; if it is still busy, do so later in another thread."""
        if self._abandoned is None:
            if self._native is not None:
                self._native.close()
            return
        busy = self._abandoned

        def close() -> None:
            busy.join()
            if self._native is not None:
                self._native.close()

        threading.Thread(target=close, name="close", daemon=True).start()

    def _next(self, chunks: Iterator[str]) -> str | None:
        return next(chunks, None)

    def _prefill(self, text: str, attachments: Sequence[Attachment]) -> None:
        raise NotImplementedError

    def _decode(self) -> Iterator[str]:
        raise NotImplementedError

    def _cancel(self) -> None:
        self._native.cancel_process()


class TextSession(_NativeSession):
    """A raw session: the texts are prefilled unchanged."""

    def __init__(
        self, engine: Any, decoding: Decoding, start_text: str, rewind: Rewind | None = None
    ) -> None:
        super().__init__(start_text)
        self._rewind = rewind
        self._first_text = start_text
        self._open = partial(
            engine.create_session,
            apply_prompt_template=False,
            sampler_config=_sampler_config(decoding.sampling),
            max_output_tokens=decoding.max_tokens,
        )

    def restart(self) -> bool:
        if self._rewind is None or self._abandoned is not None or not self._decoded:
            return False
        try:
            for _ in self._chunks:  # until a cancelled answer has ended
                pass
        except RuntimeError:
            return False
        if not self._rewind(self._native):
            return False
        self._start_text = self._first_text
        return True

    def _prefill(self, text: str, attachments: Sequence[Attachment]) -> None:
        assert not attachments
        self._native.run_prefill([text])

    def _decode(self) -> Iterator[str]:
        for responses in self._native.run_decode_async():
            yield from responses.texts


class ConversationSession(_NativeSession):
    """A conversation whose template renders our text unchanged: it can do more than a session.

    For each message the runtime renders the complete history and prefills the new part, so the
    template renders each message that we sent and nothing for the answers. Attachments are further
    parts, for which it renders nothing: the runtime inserts them, in order, at the marks that the
    model's own template has put into the text.
    """

    _TEMPLATE = (
        "{% for message in messages %}{% if message.role == 'user' %}"
        "{% if message.content is string %}{{ message.content }}"
        "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
        "{% endif %}{% endfor %}"
    )

    def __init__(self, engine: Any, decoding: Decoding, start_text: str) -> None:
        import litert_lm

        super().__init__(start_text)
        self._parts: list[dict[str, str]] = []
        self._arguments: dict[str, Any] = {}
        constrained = None
        if decoding.json_schema is not None:
            constrained = litert_lm.ConstrainedDecodingConfig(
                provider=litert_lm.LiteRtLmConstraintProviderType.LL_GUIDANCE
            )
            self._arguments["response_format"] = litert_lm.ResponseFormat.json(decoding.json_schema)
        penalties = {
            "repetition_penalty": decoding.repetition_penalty,
            "presence_penalty": decoding.presence_penalty,
            "frequency_penalty": decoding.frequency_penalty,
        }
        if any(value is not None for value in penalties.values()):
            config = litert_lm.RepetitionPenaltyConfig(**penalties)
            self._arguments["repetition_penalty_config"] = config
        if decoding.suppressed:
            self._arguments["suppress_tokens_config"] = litert_lm.SuppressTokensConfig(
                suppress_tokens=decoding.suppressed
            )
        self._open = partial(
            engine.create_conversation,
            chat_template=self._TEMPLATE,
            sampler_config=_sampler_config(decoding.sampling),
            max_output_tokens=decoding.max_tokens,
            constrained_decoding_config=constrained,
            automatic_tool_calling=False,
        )

    @property
    def cached_tokens(self) -> int | None:
        return None if self._native is None else int(self._native.token_count)

    def _prefill(self, text: str, attachments: Sequence[Attachment]) -> None:
        self._parts = [{"type": "text", "text": text}]
        for attachment in attachments:
            blob = base64.b64encode(attachment.data).decode()
            self._parts.append({"type": attachment.kind, "blob": blob})

    def _next(self, chunks: Iterator[str]) -> str | None:
        # If the runtime cannot follow a grammar, it prints that during the answer.
        with captured_stderr():
            return next(chunks, None)

    def _decode(self) -> Iterator[str]:
        sent = {"role": "user", "content": self._parts}
        for message in self._native.send_message_async(sent, **self._arguments):
            yield str(message)


def _sampler_config(sampling: Sampling | None) -> Any:
    if sampling is None:
        return None
    import litert_lm

    return litert_lm.SamplerConfig(
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        seed=sampling.seed,
    )
