"""An exact SentencePiece model of a byte-pair tokenizer.json that was converted from one.

The runtime loads SentencePiece several times faster than tokenizer.json. Gemma's tokenizer.json
is transformers' conversion of a SentencePiece model, and the reverse conversion is exact if
- spaces become U+2581, nothing else is normalised, and unknown characters become bytes;
- the merges are all pairs of pieces that form a piece, in the order of the pieces' scores:
  SentencePiece has scores only, and merges every pair that forms a piece;
- added tokens are matched in the text as they are: they become user-defined pieces.

Message: `ModelProto` of google/sentencepiece, src/sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from litertlm.bundle.tokenizer_json import TokenizerFile
from litertlm.bundle_format.protobuf import as_bytes, bytes_field, read_fields, varint, varint_field

SPACE = "\u2581"

_NORMAL, _UNKNOWN, _USER_DEFINED, _BYTE = 1, 2, 4, 6
_BPE = 2
_BYTES = frozenset(f"<0x{value:02X}>" for value in range(256))
_UNKNOWN_PIECE = "<unknown piece>"


class NotSentencePiece(Exception):
    """No SentencePiece model gives the same ids; the text is the reason."""


def sentencepiece_model(file: TokenizerFile) -> bytes:
    """The bytes of a `tokenizer.model` with the ids of this tokenizer.json.

    Raises:
        NotSentencePiece: no SentencePiece model gives the same ids.
    """
    _check_pipeline(file.outline)
    if not file.has_usual_layout:
        raise NotSentencePiece("its layout is not that of the tokenizers library")
    added = _added_tokens(file.outline.get("added_tokens") or ())
    vocabulary = {**file.vocabulary(), **added}
    pieces = [""] * len(vocabulary)
    for piece, number in vocabulary.items():
        if number >= len(pieces) or pieces[number] or not piece:
            raise NotSentencePiece("the ids are not 0, 1, 2, ...")
        pieces[number] = piece
    if not vocabulary.keys() >= _BYTES:
        raise NotSentencePiece("not every byte has a token")
    ranks = _ranks(vocabulary, file.merges(), added.keys() | _BYTES)
    return _serialize(pieces, ranks, added)


def _check_pipeline(outline: Mapping[str, Any]) -> None:
    model = outline.get("model") or {}
    plain = (
        model.get("type", "BPE") == "BPE"
        and model.get("byte_fallback")
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and not model.get("ignore_merges")
    )
    if not plain:
        raise NotSentencePiece("it is not byte-pair encoding with byte fallback")
    space = {"String": " "}
    if outline.get("normalizer") != {"type": "Replace", "pattern": space, "content": SPACE}:
        raise NotSentencePiece("it normalises more than spaces")
    # After the normaliser there is no space left to split at.
    split = outline.get("pre_tokenizer")
    if split is not None and (split.get("type"), split.get("pattern")) != ("Split", space):
        raise NotSentencePiece("it splits words before merging")


def _added_tokens(tokens: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    for token in tokens:
        if any(token.get(rule) for rule in ("normalized", "lstrip", "rstrip", "single_word")):
            raise NotSentencePiece(f"the added token {token['content']!r} has matching rules")
    return {token["content"]: int(token["id"]) for token in tokens}


def _ranks(
    vocabulary: Mapping[str, int],
    merges: Iterable[list[list[str]]],
    unmerged: AbstractSet[str],
) -> dict[str, int]:
    """The rank of each piece that merging forms: that of its first merge.

    One rank for all merges of a piece is enough if they are adjacent, and if SentencePiece finds
    no other pair that forms a piece. Pieces in `unmerged` are matched as they are.
    """
    ranks: dict[str, int] = {}
    latest, pairs = "", 0
    for block in merges:
        for left, right in block:
            piece = left + right
            if piece == latest:
                pairs += 1
            elif piece not in unmerged:
                if piece in ranks:
                    raise NotSentencePiece(f"the merges of {piece!r} are not adjacent")
                ranks[piece] = len(ranks)
                latest = piece
                pairs += 1
    for piece in vocabulary:
        if piece not in unmerged:
            for cut in range(1, len(piece)):
                if piece[:cut] in vocabulary and piece[cut:] in vocabulary:
                    pairs -= 1
    if pairs:
        raise NotSentencePiece("some pairs that form a token do not merge")
    return ranks


def _serialize(pieces: Sequence[str], ranks: Mapping[str, int], added: Mapping[str, int]) -> bytes:
    parts = []
    for piece in pieces:
        kind = _USER_DEFINED if piece in added else _BYTE if piece in _BYTES else _NORMAL
        parts.append(_piece(piece, -ranks.get(piece, 0), kind))
    # Text never needs the unknown piece, but SentencePiece requires one; as the last one it
    # uses no id of the vocabulary.
    parts.append(_piece(_UNKNOWN_PIECE, 0, _UNKNOWN))
    trainer = bytes_field(
        2,
        varint_field(3, _BPE),
        varint_field(4, len(parts)),
        varint_field(35, 1),  # byte_fallback
        varint_field(40, len(pieces)),  # unk_id
        *(varint_field(field, -1) for field in (41, 42, 43)),
        bytes_field(45, _UNKNOWN_PIECE.encode()),
    )
    # No prefix; spaces are kept and become U+2581.
    normalizer = bytes_field(
        3, bytes_field(1, b"identity"), varint_field(3, 0), varint_field(4, 0), varint_field(5, 1)
    )
    return b"".join([*parts, trainer, normalizer])


_SCORE = struct.Struct("<cfcB").pack


def _piece(text: str, score: int, kind: int) -> bytes:
    """Field 1: piece (1), score (2), type (3)."""
    name = text.encode()
    content = b"".join((b"\n", varint(len(name)), name, _SCORE(b"\x15", score, b"\x18", kind)))
    return b"".join((b"\n", varint(len(content)), content))


def match_control_pieces(model: bytes) -> bytes:
    """A `tokenizer.model` that also matches its control tokens in a text.

    Prompts contain tokens such as `</s>`, and SentencePiece matches user-defined pieces only.
    """
    parts = []
    try:
        for number, content in read_fields(model):
            message = as_bytes(content)
            # A piece whose type is CONTROL (3), which is its last field.
            if number == 1 and message.endswith(b"\x18\x03"):
                message = message[:-1] + bytes([_USER_DEFINED])
            parts.append(bytes_field(number, message))
    except ValueError as error:
        raise NotSentencePiece(f"tokenizer.model is not a ModelProto: {error}") from error
    changed = b"".join(parts)
    if len(changed) != len(model):  # a field that is no message
        raise NotSentencePiece("tokenizer.model is not a ModelProto")
    return changed
