"""The engine protocol, implemented with LiteRT-LM's Python package (litert-lm-api)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from litertlm.bundle_format.info import BundleInfo
from litertlm.errors import NotEnoughResources
from litertlm.runtime.engine import NO_CACHE, Decoding, EngineInfo, EngineOptions, Session
from litertlm.runtime.litert_session import ConversationSession, TextSession
from litertlm.runtime.native_errors import native_error
from litertlm.runtime.native_rewind import Rewind, find_rewind, runtime_library
from litertlm.runtime.stderr_capture import captured_stderr

# Bytes of address space that the runtime itself needs at least.
_RUNTIME_SPACE = 300_000_000
_IMPORTING = threading.Lock()
_DEFAULT_CONTEXT = 4096  # the runtime's own, if neither the bundle nor the user gives one


def preload() -> None:
    """Import and link the runtime in another thread, while the model is looked up on disk.

    An error here occurs again in `load_engine`, which reports it.
    """

    def load() -> None:
        with suppress(OSError, ImportError, RuntimeError):
            _runtime()

    threading.Thread(target=load, name="preload", daemon=True).start()


def load_library() -> None:
    """Load the runtime's library, without a model.

    Raises:
        ImportError, OSError, RuntimeError: it cannot be loaded.
    """
    _runtime()


def _check_address_space(bundle: Path) -> None:
    """Check the limit of address space (`ulimit -v`): native code aborts if it is too low."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    # The bundle and its packed weights are mapped; both have about the same size.
    needed = 2 * bundle.stat().st_size + _RUNTIME_SPACE
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise NotEnoughResources(
            f"{bundle.name} needs more memory than this process is allowed.",
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
        info: the result of `read_bundle_info`.
        while_loading: work that does not need the engine; it runs in this thread while native code
            loads the bundle in another. It must not write to stderr, which is captured.

    Raises:
        EngineFailed: the runtime did not load the bundle; `why` is what it printed.
        NotEnoughResources: the process is not allowed to use enough memory.
    """
    _check_address_space(bundle)
    result: list[Any] = []

    def load() -> None:
        try:
            result.append(_native_engine(bundle, options))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            result.append(error)

    # Captured here, not in the thread: after an interrupt, stderr must be restored at once.
    with captured_stderr() as printed:
        thread = threading.Thread(target=load, name="load", daemon=True)
        thread.start()
        while_loading()
        thread.join()
    (native,) = result
    if isinstance(native, Exception):
        hint = "If the file may be damaged, delete it and run again."
        raise native_error(
            f"The runtime could not load {bundle}.", printed(), native, hint
        ) from native
    context = options.context or info.context or _DEFAULT_CONTEXT
    # A token without a text (control tokens of some SentencePiece models) cannot occur in a text.
    stop_texts = tuple(filter(None, map(native.detokenize, native.eos_token_ids)))
    start_ids = list(info.start_token_ids)
    start_text = native.detokenize(start_ids) if start_ids else ""
    rewind = find_rewind(runtime_library()) if info.rewindable else None
    engine_info = EngineInfo(context, options.backend, stop_texts, start_text)
    return LiteRtEngine(native, engine_info, rewind)


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
        # On the CPU even if the text model is on a GPU: only that was tested.
        vision_backend=litert_lm.Backend.CPU() if "image" in options.kinds else None,
        audio_backend=litert_lm.Backend.CPU() if "audio" in options.kinds else None,
    )


def _runtime() -> Any:
    # The package returns its library before it has declared the functions' types to ctypes, and a
    # call from another thread in between aborts the process.
    with _IMPORTING:
        import litert_lm

        litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    return litert_lm


class LiteRtEngine:
    """A loaded bundle; see `engine.Engine`."""

    def __init__(self, native: Any, info: EngineInfo, rewind: Rewind | None) -> None:
        self._native = native
        self._info = info
        self._rewind = rewind

    @property
    def info(self) -> EngineInfo:
        return self._info

    def tokenize(self, text: str) -> list[int]:
        # The native function stops at a NUL, but prefill does not: all tokens must be counted.
        return list(self._native.tokenize(text.replace("\0", "\ufffd"))) if text else []

    def open_session(self, decoding: Decoding, *, attachments: bool = False) -> Session:
        if not attachments and decoding.plain:
            return TextSession(self._native, decoding, self._info.start_text, self._rewind)
        return ConversationSession(self._native, decoding, self._info.start_text)

    def close(self) -> None:
        self._native.close()
