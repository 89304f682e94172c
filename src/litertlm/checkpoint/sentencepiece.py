"""SentencePiece vocabularies: a GGUF header's tokens as `tokenizer.model` and as merges.

The message is `ModelProto` of
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct

from litertlm.checkpoint.vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Vocabulary,
)

SPACE = "\u2581"  # how SentencePiece writes a space

_BPE = 2  # TrainerSpec.ModelType


def pieces(vocabulary: Vocabulary) -> list[str]:
    """The tokens as SentencePiece has them; llama.cpp writes runs of spaces as such."""
    return [
        SPACE * len(token) if token and not token.strip(" ") else token
        for token in vocabulary.tokens
    ]


def scores(vocabulary: Vocabulary) -> list[float]:
    """One score for each token; user-defined ones, which llama.cpp overwrites, have 0 again."""
    stored = vocabulary.array("scores", float, len(vocabulary.tokens))
    return [
        0.0 if kind == USER_DEFINED else score
        for score, kind in zip(stored, vocabulary.types, strict=True)
    ]


def merges(vocabulary: Vocabulary) -> list[list[str]]:
    """The pairs of tokens that byte-pair encoding merges, the first ones first.

    SentencePiece merges the pair whose result has the highest score. transformers lists the
    pairs in this order when it converts a `tokenizer.model`.

    Raises:
        DamagedCheckpoint: the scores are missing, or say nothing.
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


def serialize(vocabulary: Vocabulary, *, add_prefix: bool) -> bytes:
    """The bytes of `tokenizer.model`.

    Control tokens other than BOS, EOS and padding become user-defined: SentencePiece matches
    only those in a text, and a prompt has such tokens in its text.
    """
    bos, eos, padding = (vocabulary.special(name) for name in ("bos", "eos", "padding"))
    message = bytearray()
    unknown = 0
    for number, (piece, score, kind) in enumerate(
        zip(pieces(vocabulary), scores(vocabulary), vocabulary.types, strict=True)
    ):
        if kind == UNKNOWN:
            unknown = number
        if kind == CONTROL and number not in (bos, eos, padding):
            kind = USER_DEFINED
        message += _field(1, _text(1, piece), _float(2, score), _number(3, kind))
    message += _field(
        2,
        _number(3, _BPE),
        _number(4, len(vocabulary.tokens)),
        _number(35, BYTE in vocabulary.types),
        _number(40, unknown),
        *(
            _number(field, -1 if number is None else number)
            for field, number in ((41, bos), (42, eos), (43, padding))
        ),
        *(
            _text(field, vocabulary.tokens[number])
            for field, number in ((45, unknown), (46, bos), (47, eos), (48, padding))
            if number is not None
        ),
    )
    message += _field(3, _text(1, "identity"), _number(3, add_prefix), _number(4, 0), _number(5, 1))
    return bytes(message)


def _field(number: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)
