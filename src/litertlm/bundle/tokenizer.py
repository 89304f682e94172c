"""The choice of a bundle's tokenizer: the form that loads fastest with the same token ids."""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.bundle.nfc_compat import with_unicode9_nfc
from litertlm.bundle.sentencepiece_bpe import (
    NotSentencePiece,
    match_control_pieces,
    sentencepiece_model,
)
from litertlm.bundle.tokenizer_json import TokenizerFile
from litertlm.checkpoint import Tokenizer
from litertlm.errors import DamagedCheckpoint, UnsupportedModel


@dataclass(frozen=True)
class ChosenTokenizer:
    """The tokenizer of a bundle.

    Attributes:
        kind: `huggingface` (tokenizer.json) or `sentencepiece` (tokenizer.model).
        data: the file's bytes, uncompressed.
        reason: where it comes from, for `show`.
    """

    kind: str
    data: bytes
    reason: str


def choose_tokenizer(tokenizer: Tokenizer) -> ChosenTokenizer:
    """Choose the fastest form whose ids are those of the checkpoint's tokenizer.

    tokenizer.json is the reference, because transformers uses it. As SentencePiece it loads about
    ten times faster. If that cannot be exact, it is written compactly, with merges as strings
    instead of pairs, which loads about a quarter faster, and with the NFC of the library.

    Raises:
        UnsupportedModel: the checkpoint has no tokenizer file that the runtime reads.
        DamagedCheckpoint: tokenizer.json is not a JSON object.
    """
    if tokenizer.json is None and tokenizer.sentencepiece is None:
        raise UnsupportedModel(
            "The checkpoint has neither tokenizer.json nor tokenizer.model.",
            hint="Add the tokenizer files of the model to the checkpoint folder.",
        )
    if tokenizer.json is None:
        try:
            model = match_control_pieces(tokenizer.sentencepiece or b"")
        except NotSentencePiece as error:
            raise DamagedCheckpoint(
                "The checkpoint's tokenizer.model cannot be read.", why=str(error)
            ) from error
        return ChosenTokenizer("sentencepiece", model, "tokenizer.model of the checkpoint")
    file = TokenizerFile(tokenizer.json)
    try:
        try:
            model = sentencepiece_model(file)
        except NotSentencePiece:
            why = "tokenizer.json of the checkpoint"
            kept = file.with_normalizer(with_unicode9_nfc)
            return ChosenTokenizer("huggingface", kept.compact(), why)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedCheckpoint(
            "The checkpoint's tokenizer.json cannot be read.", why=f"{error!r:.300}"
        ) from error
    return ChosenTokenizer("sentencepiece", model, "tokenizer.json as SentencePiece, exactly")
