"""What services need of an inference engine: a protocol small enough to script in tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from litertlm.errors import UsageError

NO_CACHE = ":nocache"
"""What the runtime is given for a folder when it shall keep no packed weights."""


@dataclass(frozen=True)
class EngineOptions:
    """How a bundle is loaded.

    Attributes:
        backend: `cpu` or `gpu`.
        threads: CPU threads; None leaves the choice to the runtime.
        context: tokens of prompt and answers together; None takes the bundle's own.
        cache_dir: folder for the runtime's packed weights; None keeps none.
        kinds: of the attachments that texts may come with; other encoders are not loaded.
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
        top_k: the number of most probable tokens that may be chosen.
        top_p: the probability that these must sum to, at most 1.
        seed: of the random numbers.
    """

    temperature: float
    top_k: int
    top_p: float
    seed: int


@dataclass(frozen=True)
class Decoding:
    """What holds for all answers of one session.

    Attributes:
        sampling: None takes the bundle's own.
        max_tokens: most tokens of an answer; None goes on to a stop token or a full context.
        repetition_penalty: divides the logits of tokens that were used already; 1 changes nothing.
        json_schema: JSON Schema text that every answer must match, or None.
    """

    sampling: Sampling | None = None
    max_tokens: int | None = None
    repetition_penalty: float | None = None
    json_schema: str | None = None


@dataclass(frozen=True)
class Attachment:
    """A file that the model is given with a message.

    Attributes:
        kind: `image` or `audio`.
        path: where it was read.
        data: the whole file: a PNG, JPEG, BMP or GIF, or a WAV, FLAC or MP3.
    """

    kind: str
    path: Path
    data: bytes


@dataclass(frozen=True)
class EngineInfo:
    """What a loaded engine knows about its bundle.

    Attributes:
        context: tokens that fit, prompt and answers together.
        backend: the backend that runs, `cpu` or `gpu`.
        stop_texts: the texts of the stop tokens.
        start_text: the text of the tokens that a session begins with by itself (BOS), or empty.
    """

    context: int
    backend: str
    stop_texts: tuple[str, ...] = ()
    start_text: str = ""


class Session(Protocol):
    """One KV cache. Text goes in as it is: no template is applied.

    It begins with the engine's `start_text`, whether the first text does or not.
    """

    @property
    def cached_tokens(self) -> int | None:
        """Tokens in the cache, attachments included; None where the session cannot tell."""

    def generate(self, text: str, attachments: Sequence[Attachment] = ()) -> Iterator[str]:
        """Append `text` to what the session holds, then yield an answer token by token.

        A stop token that ends the answer is not yielded, but the cache holds it.

        Args:
            attachments: one for each place that the model's template marks in `text`, in that
                order; only in a session that was opened for them.

        Raises:
            EngineFailed: the runtime's own reason is in `why`.
            UsageError: an attachment cannot be decoded.
        """

    def cancel(self) -> None:
        """Make a running `generate` end soon; safe from a signal handler or another thread."""

    def close(self) -> None:
        """Free the cache."""


class Engine(Protocol):
    """A loaded bundle."""

    @property
    def info(self) -> EngineInfo:
        """What is known about the bundle."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`, special tokens recognised, none added."""

    def open_session(self, decoding: Decoding, *, attachments: bool = False) -> Session:
        """A new, empty session. One at a time: close the last one first.

        Args:
            attachments: whether texts may come with some.
        """

    def close(self) -> None:
        """Free the model."""


def prompt_too_long(tokens: int, context: int) -> UsageError:
    """The error for a prompt that cannot fit, however little else is sent."""
    return UsageError(
        f"The prompt has {tokens:,} tokens; the context holds {context:,}.",
        why="A prompt must fit whole, with room for an answer.",
        hint="Shorten it, or make the context larger with --context.",
    )
