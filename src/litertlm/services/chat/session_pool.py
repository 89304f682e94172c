"""Sessions that stay open after an answer, so that a prompt which begins alike costs less.

A session continues where the prompt begins with all that is in its cache. Where only a beginning is
equal, the session is started again and the engine computes the rest (`Session.restart`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from litertlm.runtime.engine import Attachment, Decoding, Engine, Session

# Below this part of its text in common, a session is kept for its own conversation if the pool has
# room for another one.
_WORTH_REUSING = 0.5


@dataclass
class CachedSession:
    """An open session, and what is known of its cache.

    Attributes:
        session: the engine's.
        decoding: its options, which cannot be changed.
        attaches: whether it was opened for attachments.
        exact: the texts of which one is exactly what the cache holds; none if that is not known.
        began: a text that the cache begins with.
        attachments: those in the cache.
    """

    session: Session
    decoding: Decoding
    attaches: bool
    exact: tuple[str, ...] = ()
    began: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Taken:
    """A session for a prompt.

    Attributes:
        held: the session; `SessionPool.give_back` afterwards.
        rest: the part of the prompt that must be sent.
        new_attachments: those that must be sent.
        common_tokens: of `rest`, tokens that the engine has in its cache.
    """

    held: CachedSession
    rest: str
    new_attachments: tuple[Attachment, ...]
    common_tokens: int


class SessionPool:
    """The open sessions of one engine; the least recently used one is closed first.

    A session is used by one answer at a time.

    Args:
        most: sessions to keep.
        full: called after an answer; while it is true, sessions are closed, down to one. It can
            measure the memory in use.
    """

    def __init__(
        self, engine: Engine, *, most: int = 1, full: Callable[[], bool] = lambda: False
    ) -> None:
        self._engine = engine
        self._most = most
        self._full = full
        self._kept: list[CachedSession] = []  # the last one was used last

    def __len__(self) -> int:
        return len(self._kept)

    def take(
        self,
        decoding: Decoding,
        text: str,
        attachments: tuple[Attachment, ...] = (),
        *,
        new: bool = False,
    ) -> Taken:
        """The session whose cache has the most of `text`, or a new one.

        Args:
            new: do not continue a session: its random numbers must begin with the seed.
        """
        fitting = [
            held
            for held in self._kept
            if not new and held.decoding == decoding and held.attaches >= bool(attachments)
        ]
        for held in fitting:
            if (exact := _continued(held, text, attachments)) is not None:
                self._kept.remove(held)
                seen = len(held.attachments)
                return Taken(held, text[len(exact) :], attachments[seen:], 0)
        if restarted := self._restart(fitting, text, attachments):
            return restarted
        while len(self._kept) >= self._most:
            self._kept.pop(0).session.close()
        session = self._engine.open_session(decoding, attachments=bool(attachments))
        return Taken(CachedSession(session, decoding, bool(attachments)), text, attachments, 0)

    def give_back(
        self,
        held: CachedSession,
        text: str,
        ends: Sequence[str],
        attachments: tuple[Attachment, ...] = (),
    ) -> None:
        """Keep a session after an answer.

        Args:
            text: what its cache begins with.
            ends: the texts of which one follows, and then nothing; none if that is not known.
        """
        held.began, held.attachments = text, attachments
        held.exact = tuple(text + end for end in ends)
        self._kept.append(held)
        while len(self._kept) > 1 and self._full():
            self._kept.pop(0).session.close()

    def close(self) -> None:
        """Close all sessions."""
        while self._kept:
            self._kept.pop().session.close()

    def _restart(
        self, fitting: list[CachedSession], text: str, attachments: tuple[Attachment, ...]
    ) -> Taken | None:
        candidates = [
            held
            for held in fitting
            if not (attachments or held.attachments or held.attaches or text.startswith(held.began))
        ]
        if not candidates:
            return None
        held = max(candidates, key=lambda each: _common(each.began, text))
        common = _common(held.began, text)
        if len(self._kept) < self._most and common < _WORTH_REUSING * len(held.began):
            return None
        self._kept.remove(held)
        if not held.session.restart():
            held.session.close()
            return None
        return Taken(held, text, attachments, self._common_tokens(held.began, text, common))

    def _common_tokens(self, before: str, text: str, common: int) -> int:
        """The tokens at the beginning of both texts that are the same ones."""
        # A token can cross the place where the texts part, and no token is that long.
        end = common + 256
        return _common(self._engine.tokenize(before[:end]), self._engine.tokenize(text[:end]))


def _continued(held: CachedSession, text: str, attachments: tuple[Attachment, ...]) -> str | None:
    """The text in the session's cache, if the prompt goes on from there."""
    if held.attachments != attachments[: len(held.attachments)]:
        return None
    return next((e for e in held.exact if len(text) > len(e) and text.startswith(e)), None)


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    """Characters or tokens at the beginning of both that are equal."""
    low, high = 0, min(len(first), len(second))
    while low < high:  # slices are compared faster than items
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
