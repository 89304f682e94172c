"""The pre-tokenizers named in `tokenizer.ggml.pre`, in the format of tokenizer.json.

llama.cpp recognises a byte-level tokenizer by its ids of one fixed text, and stores a name for
it (https://github.com/ggml-org/llama.cpp/blob/master/conversion/base.py,
`get_vocab_base_pre`; the patterns are in src/llama-vocab.cpp). The definitions here are those of
the original tokenizers, whose normalizers llama.cpp leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_NFC: Json = {"type": "NFC"}
_SINGLE_DIGITS: Json = {"type": "Digits", "individual_digits": True}


@dataclass(frozen=True)
class PreTokenizer:
    """The steps before byte-pair merging.

    Attributes:
        splits: pre-tokenizers before the byte level.
        gpt2: split with GPT-2's pattern, which is built into the byte-level step.
        normalizer: applied first.
        ignore_merges: a word that is in the vocabulary is not merged from pieces.
        bos: whether BOS is added if the header has no flag for it.
    """

    splits: Sequence[Json] = ()
    gpt2: bool = False
    normalizer: Json | None = None
    ignore_merges: bool = False
    bos: bool = False

    def steps(self) -> list[Json]:
        """The pre-tokenizers of tokenizer.json."""
        return [*self.splits, byte_level(use_regex=self.gpt2)]


def byte_level(*, use_regex: bool) -> Json:
    """The step that writes each byte as a printable character."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": use_regex,
    }


def _split(regex: str) -> Json:
    return {
        "type": "Split",
        "pattern": {"Regex": regex},
        "behavior": "Isolated",
        "invert": False,
    }


def _words(digits: str) -> Json:
    """Letters after at most one sign; digits; signs: the pattern of cl100k and similar ones."""
    return _split(
        rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
    )


def _words_apart_from_lines() -> Json:
    """As `_words` with single digits, but a line break does not belong to the signs before it."""
    return _split(
        rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1}}"
        rf"| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}"
    )


def _cased_words(suffix: str, digits: str) -> Json:
    """Words that end where the case changes: the pattern of o200k and similar ones."""
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    lead = r"[^\r\n\p{L}\p{N}]?"
    return _split(
        rf"{lead}{upper}*{lower}+{suffix}|{lead}{upper}+{lower}*{suffix}|\p{{N}}{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    )


_GPT2 = PreTokenizer(gpt2=True)
_GPT2_DIGITS = PreTokenizer([_SINGLE_DIGITS], gpt2=True)
_QWEN2 = PreTokenizer([_words("")], normalizer=_NFC)
_CL100K = PreTokenizer([_words("{1,3}")])
_LLAMA3 = PreTokenizer([_words("{1,3}")], ignore_merges=True, bos=True)

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    # llama.cpp's own pattern for files whose tokenizer was not recognised.
    "default": PreTokenizer(
        [
            _split(r"[\p{P}\$\+<=>\^~\|]+"),
            _split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"),
            _split(r"\p{N}+"),
            _split("[0-9][0-9][0-9]"),
        ]
    ),
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "exaone4": _GPT2,
    "granite-docling": _GPT2,
    "olmo": PreTokenizer(gpt2=True, normalizer=_NFC),
    "smollm": _GPT2_DIGITS,
    "starcoder": _GPT2_DIGITS,
    "refact": _GPT2_DIGITS,
    "codeshell": _GPT2_DIGITS,
    "command-r": _GPT2_DIGITS,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "dbrx": _CL100K,
    "smaug-bpe": _CL100K,
    "glm4": _CL100K,
    "chatglm-bpe": _CL100K,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
    "lfm2": _LLAMA3,
    "seed-coder": PreTokenizer([_words_apart_from_lines()]),
    "hunyuan-dense": PreTokenizer(
        [
            _split(r"\p{N}{1,3}"),
            _split("[一-龥぀-ゟ゠-ヿ]+"),
            _split(
                r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
                r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
                rf"|{_SPACES}"
            ),
        ]
    ),
    "tekken": PreTokenizer([_cased_words("", "")], ignore_merges=True, bos=True),
    "gpt-4o": PreTokenizer([_cased_words(_CONTRACTIONS + "?", "{1,3}")]),
}
