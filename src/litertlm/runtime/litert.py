"""The engine protocol on LiteRT-LM's Python package (litert-lm-api)."""

from __future__ import annotations

import base64
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from litertlm.bundle_format.info import BundleInfo
from litertlm.errors import EngineFailed, LiteRtLmError, NotEnoughResources, UsageError
from litertlm.runtime.engine import (
    NO_CACHE,
    Attachment,
    Decoding,
    EngineInfo,
    EngineOptions,
    Sampling,
    Session,
    prompt_too_long,
)
from litertlm.runtime.stderr_capture import captured_stderr, informative_lines

_REASON_LINES = 8
_LOOK_SECONDS = 0.05  # how soon a cancelled prefill is noticed; a finished one is at once
# A mapping that the system refuses, and TFLite's own words.
_RUNTIME_SPACE = 300_000_000  # bytes of address space of the runtime itself, at the least
_NO_MEMORY = ("data != ((void *) -1)", "Failed to allocate", "Cannot allocate memory", "bad_alloc")
_SCHEMA_REFUSED = re.compile(r"Failed to create LLGuidance constraint: (.+)")
_GRAMMAR_BROKEN = "doesn't satisfy the grammar"
_TOO_LONG = re.compile(r"token ids are too long\..*?: (\d+) >= (\d+)")
# What it says of a file that it cannot decode, and what that file is.
_UNDECODED = {
    r"Failed to decode image\. Reason: (.+)": "image",
    r"Failed to initialize miniaudio decoder, (.+)": "audio",
}
_LINKING = threading.Lock()
# What the runtime takes where neither the bundle nor the user says anything.
_DEFAULT_CONTEXT = 4096


def preload() -> None:
    """Import and link the runtime in another thread, while the model is looked up on disk.

    What goes wrong here goes wrong again, and is told, in `load_engine`.
    """

    def load() -> None:
        with suppress(OSError, ImportError, RuntimeError):
            _runtime()

    threading.Thread(target=load, name="preload", daemon=True).start()


def _check_address_space(bundle: Path) -> None:
    """Refuse a limit (`ulimit -v`) that is too low: native code aborts when it meets it."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    # The bundle and its packed weights are mapped, each about as large as the other.
    needed = 2 * bundle.stat().st_size + _RUNTIME_SPACE
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise NotEnoughResources(
            f"{bundle.name} needs more memory than this process may have.",
            why=f"At least {needed / 1e6:,.0f} MB of address space; the limit is "
            f"{limit / 1e6:,.0f} MB.",
            hint="Raise the limit (ulimit -v), or run a smaller model.",
        )


def load_engine(
    bundle: Path,
    info: BundleInfo,
    options: EngineOptions,
    *,
    while_loading: Callable[[], None] = lambda: None,
) -> LiteRtEngine:
    """Load a bundle.

    Args:
        info: what `read_bundle_info` said.
        while_loading: work that needs no engine; it runs in this thread while native code loads the
            bundle in another. It must not write to stderr, which is captured for that time.

    Raises:
        EngineFailed: the runtime refused the bundle; what it printed is in `why`.
        NotEnoughResources: this process may not have the memory.
    """
    _check_address_space(bundle)
    result: list[Any] = []

    def load() -> None:
        try:
            result.append(_native_engine(bundle, options))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            result.append(error)

    # Captured here, not in the thread: an interrupt while it loads must find stderr as it was.
    with captured_stderr() as printed:
        thread = threading.Thread(target=load, name="load", daemon=True)
        thread.start()
        while_loading()
        thread.join()
    (native,) = result
    if isinstance(native, Exception):
        hint = "If the file may be damaged, delete it and run again."
        raise _failure(f"The runtime could not load {bundle}.", printed(), native, hint) from native
    context = options.context or info.context or _DEFAULT_CONTEXT
    # A token that has no text (some SentencePiece models' control tokens) cannot be found in one.
    stop_texts = tuple(filter(None, map(native.detokenize, native.eos_token_ids)))
    start_ids = list(info.start_token_ids)
    start_text = native.detokenize(start_ids) if start_ids else ""
    return LiteRtEngine(native, EngineInfo(context, options.backend, stop_texts, start_text))


def _native_engine(bundle: Path, options: EngineOptions) -> Any:
    litert_lm = _runtime()
    backend = (
        litert_lm.Backend.GPU()
        if options.backend == "gpu"
        else litert_lm.Backend.CPU(thread_count=options.threads)
    )
    if options.cache_dir is not None:
        options.cache_dir.mkdir(parents=True, exist_ok=True)
    return litert_lm.Engine(
        str(bundle),
        backend=backend,
        max_num_tokens=options.context,
        cache_dir=NO_CACHE if options.cache_dir is None else str(options.cache_dir),
        # On the CPU also where the text model is on a GPU: it is the one that was tried.
        vision_backend=litert_lm.Backend.CPU() if "image" in options.kinds else None,
        audio_backend=litert_lm.Backend.CPU() if "audio" in options.kinds else None,
    )


def _runtime() -> Any:
    # The package hands out its library before it has told ctypes the functions' types, and a
    # call from another thread in between ends the process.
    with _LINKING:
        import litert_lm

        litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    return litert_lm


def _failure(what: str, printed: str, error: Exception, hint: str = "") -> LiteRtLmError:
    """The error for a failure of native code, with what that code said of it."""
    said = f"{printed}\n{error}"
    why = "\n".join(informative_lines(said)[-_REASON_LINES:])
    if schema := _SCHEMA_REFUSED.search(said):
        return UsageError("The JSON Schema cannot be used.", why=schema[1])
    for pattern, kind in _UNDECODED.items():
        if found := re.search(pattern, said):
            return UsageError(
                f"The attached {kind} cannot be decoded.", why=f"The decoder: {found[1].strip()}."
            )
    if sizes := _TOO_LONG.search(said):
        return prompt_too_long(*map(int, sizes.groups()))
    if _GRAMMAR_BROKEN in said:
        return EngineFailed(
            "The runtime could not write what the JSON Schema demands.",
            why="With the tokenizers of many models it cannot write names and values that a schema "
            "fixes (properties, enum, const), if one holds blanks or letters beyond ASCII.",
            hint="Use names such as full_name.",
        )
    if any(mark in said for mark in _NO_MEMORY):
        hint = "It needs more memory: try a smaller model, a smaller --context or fewer programs."
        return NotEnoughResources(what, why=why, hint=hint)
    return EngineFailed(what, why=why, hint=hint)


class LiteRtEngine:
    """A loaded bundle. See `engine.Engine`."""

    def __init__(self, native: Any, info: EngineInfo) -> None:
        self._native = native
        self._info = info

    @property
    def info(self) -> EngineInfo:
        return self._info

    def tokenize(self, text: str) -> list[int]:
        # The native function reads up to a NUL; a prompt is read whole, so count all of it.
        return list(self._native.tokenize(text.replace("\0", "\ufffd"))) if text else []

    def open_session(self, decoding: Decoding, *, attachments: bool = False) -> Session:
        if not attachments and decoding.json_schema is None and decoding.repetition_penalty is None:
            return _Session(self._native, decoding, self._info.start_text)
        return _Conversation(self._native, decoding, self._info.start_text)

    def close(self) -> None:
        self._native.close()


class _Stream:
    """What both kinds of native sessions share: how an answer is waited for and stopped.

    Up to the first token native code blocks, cannot be cancelled (a session hangs then, in
    litert-lm-api 0.18.1), and Python runs no signal handlers in it. So that part has a thread of
    its own, and whoever cancels goes on without waiting for it.
    """

    _open: Callable[[], Any]

    def __init__(self, start_text: str) -> None:
        self._native: Any = None
        self._cancelled = False
        self._decoding = False
        self._left: threading.Thread | None = None
        # The runtime puts it before the first text, also where that begins with it.
        self._start_text = start_text

    @property
    def cached_tokens(self) -> int | None:
        return None

    def generate(self, text: str, attachments: Sequence[Attachment] = ()) -> Iterator[str]:
        self._cancelled = self._decoding = False
        text, self._start_text = text.removeprefix(self._start_text), ""
        chunks = self._decode()
        first: list[str | None] = []
        failed: list[RuntimeError] = []

        def begin() -> None:
            try:
                if self._native is None:
                    # Waits for what another session has left at work.
                    self._native = self._open()
                self._prefill(text, attachments)
                if not self._cancelled:
                    first.append(next(chunks, None))
                    if self._cancelled:
                        self._cancel()
            except RuntimeError as error:
                failed.append(error)

        # Nothing of ours is written to stderr meanwhile: what is printed is native code's reason.
        with captured_stderr() as printed:
            thread = threading.Thread(target=begin, name="prefill", daemon=True)
            thread.start()
            try:
                while thread.is_alive() and not self._cancelled:
                    thread.join(_LOOK_SECONDS)
            finally:
                if thread.is_alive():
                    self._left = thread
        if failed:
            what = "The runtime could not read the prompt."
            raise _failure(what, printed(), failed[0]) from failed[0]
        if self._left or not first:
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
            raise _failure("The runtime stopped in an answer.", "", error) from error
        except KeyboardInterrupt:
            if self._decoding:
                self._cancel()
            raise
        finally:
            self._decoding = False

    def cancel(self) -> None:
        self._cancelled = True
        if self._decoding:
            self._cancel()

    def close(self) -> None:
        """Free the native session; one that is still at work is not waited for."""
        if self._left is None:
            if self._native is not None:
                self._native.close()
            return
        busy = self._left

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


class _Session(_Stream):
    """A raw session: text in, text out, to the letter."""

    def __init__(self, engine: Any, decoding: Decoding, start_text: str) -> None:
        super().__init__(start_text)
        self._open = partial(
            engine.create_session,
            apply_prompt_template=False,
            sampler_config=_sampler_config(decoding.sampling),
            max_output_tokens=decoding.max_tokens,
        )

    def _prefill(self, text: str, attachments: Sequence[Attachment]) -> None:
        assert not attachments
        self._native.run_prefill([text])

    def _decode(self) -> Iterator[str]:
        for responses in self._native.run_decode_async():
            yield from responses.texts


class _Conversation(_Stream):
    """A conversation whose template passes our text on, for what raw sessions cannot do.

    The runtime renders all messages for each one that is sent and prefills what is new, so the
    template prints each message that we sent and nothing for the answers. Attachments follow it
    as parts that it prints nothing for: the runtime puts them, in their order, where the text has
    the marks that the model's own template has written.
    """

    _PASS_ON = (
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
        if decoding.repetition_penalty is not None:
            self._arguments["repetition_penalty_config"] = litert_lm.RepetitionPenaltyConfig(
                repetition_penalty=decoding.repetition_penalty
            )
        self._open = partial(
            engine.create_conversation,
            chat_template=self._PASS_ON,
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
        # A grammar that the runtime cannot follow is told on stderr, in the middle of the answer.
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
