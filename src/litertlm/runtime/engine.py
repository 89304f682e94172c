"""The inference engine as services use it: a protocol that tests can replace with a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from litertlm.errors import UsageError

NO_CACHE = ":nocache"
"""The name of a cache folder with which the runtime does not store packed weights."""


@dataclass(frozen=True)
class EngineOptions:
    """How a bundle is loaded.

    Attributes:
        backend: `cpu` or `gpu`.
        threads: CPU threads; None for the runtime's default.
        context: tokens of prompt and answers together; None for the bundle's default.
        cache_dir: folder for the runtime's packed weights; None to store none.
        kinds: of attachments (`image`, `audio`); the encoders of other kinds are not loaded.
    """

    backend: str = "cpu"
    threads: int | None = None
    context: int | None = None
    cache_dir: Path | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen from the logits.

    Attributes:
        temperature: 0 is greedy.
        top_k: the number of most probable tokens to choose from.
        top_p: the smallest set of tokens is used whose probabilities sum to this, at most 1.
        seed: of the random number generator.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int


@dataclass(frozen=True)
class Decoding:
    """Options of all answers of one session.

    Attributes:
        sampling: None for the bundle's defaults.
        max_tokens: maximum tokens per answer; None for no limit but the context.
        repetition_penalty: divides the logits of tokens that occurred already; 1 has no effect.
        presence_penalty: subtracted from the logits of tokens that occurred already.
        frequency_penalty: subtracted from them once for each time.
        suppressed: ids of tokens that are never chosen.
        json_schema: JSON Schema text that every answer must match, or None.
    """

    sampling: Sampling | None = None
    max_tokens: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    suppressed: tuple[int, ...] = ()
    json_schema: str | None = None

    @property
    def plain(self) -> bool:
        """Whether only the sampler chooses tokens: no penalty, no constraint."""
        penalties = (self.repetition_penalty, self.presence_penalty, self.frequency_penalty)
        return penalties == (None,) * 3 and not self.suppressed and self.json_schema is None


@dataclass(frozen=True)
class Attachment:
    """A file attached to a message.

    Attributes:
        kind: `image` or `audio`.
        path: of the file.
        data: the contents of the file: a PNG, JPEG, BMP or GIF, or a WAV, FLAC or MP3.
    """

    kind: str
    path: Path
    data: bytes


@dataclass(frozen=True)
class EngineInfo:
    """Properties of a loaded bundle.

    Attributes:
        context: maximum tokens of prompt and answers together.
        backend: the compute backend in use, `cpu` or `gpu`.
        stop_texts: the texts of the stop tokens.
        start_text: the text of the tokens that the runtime adds at the start of a session (BOS).
    """

    context: int
    backend: str
    stop_texts: tuple[str, ...] = ()
    start_text: str = ""


class Session(Protocol):
    """One KV cache. No template is applied to the texts.

    It begins with the engine's `start_text`, whether or not the first text does.
    """

    @property
    def cached_tokens(self) -> int | None:
        """Tokens in the cache, including attachments; None if unknown."""

    def generate(self, text: str, attachments: Sequence[Attachment] = ()) -> Iterator[str]:
        """Append `text` to the cache, then yield an answer token by token.

        A stop token that ends the answer is not yielded, but is in the cache.

        Args:
            attachments: one for each mark that the model's template has put into `text`, in that
                order; only in a session that was opened for them.

        Raises:
            EngineFailed: the runtime's own reason is in `why`.
            UsageError: an attachment cannot be decoded.
        """

    def restart(self) -> bool:
        """Begin again with an empty text, for another `generate`.

        The engine then computes only what follows the longest common prefix of the new text and
        the previous one. The new text must not begin with all of the previous text and its
        answer: those continue without a restart.

        Returns:
            False if that is not possible: the caller opens a new session.
        """

    def cancel(self) -> None:
        """Stop a running `generate` soon; can be called in a signal handler or another thread."""

    def close(self) -> None:
        """Free the cache."""


class Engine(Protocol):
    """A loaded bundle."""

    @property
    def info(self) -> EngineInfo:
        """Properties of the bundle."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens are recognised, and none is added."""

    def open_session(self, decoding: Decoding, *, attachments: bool = False) -> Session:
        """A new, empty session. Several can be open, each with its own cache.

        Args:
            attachments: whether texts may have some.
        """

    def close(self) -> None:
        """Free the model."""


def prompt_too_long(tokens: int, context: int) -> UsageError:
    """The error for a prompt that is longer than the context."""
    return UsageError(
        f"The prompt has {tokens:,} tokens; the context has {context:,}.",
        why="The context must have room for the prompt and an answer.",
        hint="Shorten the prompt, or use a larger --context.",
    )
