"""Which tokenizer section a bundle gets."""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.checkpoint import Tokenizer
from litertlm.errors import UnsupportedModel


@dataclass(frozen=True)
class ChosenTokenizer:
    """The tokenizer of a bundle.

    Attributes:
        kind: `huggingface` (tokenizer.json) or `sentencepiece` (tokenizer.model).
        data: the file's bytes, uncompressed.
        reason: why this one, for `show`.
    """

    kind: str
    data: bytes
    reason: str


def choose_tokenizer(tokenizer: Tokenizer) -> ChosenTokenizer:
    """Choose the fastest tokenizer file whose ids equal the checkpoint's.

    Raises:
        UnsupportedModel: the checkpoint has no tokenizer file that the runtime reads.
    """
    if tokenizer.json is not None:
        return ChosenTokenizer("huggingface", tokenizer.json, "the checkpoint's tokenizer.json")
    if tokenizer.sentencepiece is not None:
        return ChosenTokenizer(
            "sentencepiece", tokenizer.sentencepiece, "the checkpoint's tokenizer.model"
        )
    raise UnsupportedModel(
        "The checkpoint has no tokenizer.json and no tokenizer.model.",
        hint="Add the tokenizer files of the model to the checkpoint folder.",
    )
