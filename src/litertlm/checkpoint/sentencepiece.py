"""SentencePiece vocabularies of GGUF headers: merges from pieces with scores."""

from __future__ import annotations

from litertlm.checkpoint.gguf_vocabulary import NORMAL, USER_DEFINED, Vocabulary

SPACE = "\u2581"  # how SentencePiece writes a space


def pieces(vocabulary: Vocabulary) -> list[str]:
    """The tokens in SentencePiece's notation; llama.cpp stores runs of spaces as spaces."""
    return [
        SPACE * len(token) if token and not token.strip(" ") else token
        for token in vocabulary.tokens
    ]


def scores(vocabulary: Vocabulary) -> list[float]:
    """A score per token; that of user-defined ones, which llama.cpp overwrites, is 0."""
    stored = vocabulary.array("scores", float, len(vocabulary.tokens))
    return [
        0.0 if kind == USER_DEFINED else score
        for score, kind in zip(stored, vocabulary.types, strict=True)
    ]


def merges(vocabulary: Vocabulary) -> list[list[str]]:
    """The pairs of tokens that byte-pair encoding merges, in the order of their rank.

    SentencePiece merges the pair whose result has the highest score. transformers uses this
    order when it converts a `tokenizer.model`.

    Raises:
        DamagedCheckpoint: the scores are missing, or all equal.
    """
    names, values = pieces(vocabulary), scores(vocabulary)
    normal = {v for v, kind in zip(values, vocabulary.types, strict=True) if kind == NORMAL}
    if len(normal) < 2:
        raise vocabulary.damaged("All scores are equal, so that the order of merges is lost.")
    mergeable = {
        name
        for name, kind in zip(names, vocabulary.types, strict=True)
        if kind in (NORMAL, USER_DEFINED)
    }
    found = [
        (-score, -cut, cut - len(name), name, cut)
        for name, score in zip(names, values, strict=True)
        if len(name) > 1 and name in mergeable
        for cut in range(1, len(name))
        if name[:cut] in mergeable and name[cut:] in mergeable
    ]
    found.sort(key=lambda pair: pair[:3])
    return [[name[:cut], name[cut:]] for *_, name, cut in found]
