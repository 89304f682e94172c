"""Tokenizer files from the vocabulary in a GGUF header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.checkpoint.types import Tokenizer
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 2, 3, 4, 5, 6

Json = dict[str, Any]


def _split(regex: str) -> Json:
    return {
        "type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False,
    }  # fmt: skip


def _byte_level(use_regex: bool) -> Json:
    return {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
        "use_regex": use_regex,
    }  # fmt: skip


_NFC: Json = {"type": "NFC"}
_DIGITS: Json = {"type": "Digits", "individual_digits": True}
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def _words(digits: str) -> Json:
    """Letters with one leading sign, digits in groups, signs: the cl100k family of patterns."""
    return _split(
        rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_TAIL}"
    )


def _cased_words(suffix: str, digits: str) -> Json:
    """Words split where the case changes: the o200k family of patterns."""
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    lead = r"[^\r\n\p{L}\p{N}]?"
    return _split(
        rf"{lead}{upper}*{lower}+{suffix}|{lead}{upper}+{lower}*{suffix}|\p{{N}}{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_TAIL}"
    )


@dataclass(frozen=True)
class _Pre:
    """What a value of `tokenizer.ggml.pre` stands for.

    Attributes:
        splits: pre-tokenizers ahead of the byte level.
        gpt2: split with GPT-2's pattern, which the byte-level step has built in.
        normalizer: of the tokenizers with this pre-tokenizer.
        whole_words: a word that is in the vocabulary is taken without merging.
        bos: BOS is added unless the header says otherwise.
    """

    splits: Sequence[Json] = ()
    gpt2: bool = False
    normalizer: Json | None = None
    whole_words: bool = False
    bos: bool = False


def _pre_tokenizers() -> dict[str, _Pre]:
    """By `tokenizer.ggml.pre`, as the tokenizer.json of the models that it is named after.

    llama.cpp's own table (src/llama-vocab.cpp) says which names share a pattern; normalizers,
    which it leaves out, are those of the original tokenizers.
    """
    gpt2 = _Pre(gpt2=True)
    digits = _Pre([_DIGITS], gpt2=True)
    qwen2 = _Pre([_words("")], normalizer=_NFC)
    cl100k = _Pre([_words("{1,3}")])
    llama3 = _Pre([_words("{1,3}")], whole_words=True, bos=True)
    o200k = _Pre([_cased_words(_CONTRACTIONS + "?", "{1,3}")])
    default = _Pre(
        [
            _split(r"[\p{P}\$\+<=>\^~\|]+"),
            _split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"),
            _split(r"\p{N}+"),
            _split("[0-9][0-9][0-9]"),
        ]
    )
    return {
        "default": default,
        "gpt-2": gpt2,
        "olmo": _Pre(gpt2=True, normalizer=_NFC),
        "smollm": digits,
        "starcoder": digits,
        "refact": digits,
        "codeshell": digits,
        "qwen2": qwen2,
        "deepseek-r1-qwen": qwen2,
        "dbrx": cl100k,
        "smaug-bpe": cl100k,
        "llama3": llama3,
        "llama-v3": llama3,
        "llama-bpe": llama3,
        "tekken": _Pre([_cased_words("", "")], whole_words=True, bos=True),
        "gpt-4o": o200k,
    }


def translate_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer files that the checkpoint had before it became a GGUF file.

    Raises:
        UnsupportedModel: a kind of vocabulary or a pre-tokenizer that is not known.
        DamagedCheckpoint: the vocabulary contradicts itself.
    """
    vocabulary = _Vocabulary(file)
    kind = file.values.get("tokenizer.ggml.model")
    if kind == "gpt2":
        pre = _pre_tokenizer(file)
        adds_bos = bool(file.values.get("tokenizer.ggml.add_bos_token", pre.bos))
        document = _byte_level_bpe(vocabulary, pre, adds_bos)
    else:
        raise UnsupportedModel(
            f"Tokenizer {kind!r} is not supported.",
            why=f"{file.path} says tokenizer.ggml.model = {kind!r}.",
        )
    template = file.values.get("tokenizer.chat_template")
    return Tokenizer(
        json=json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
        sentencepiece=None,
        config=_tokenizer_config(vocabulary, adds_bos),
        chat_template=template if isinstance(template, str) else None,
        adds_bos=adds_bos and vocabulary.special("bos") is not None,
        bos_token_id=vocabulary.special("bos"),
        eos_token_id=vocabulary.special("eos"),
    )


class _Vocabulary:
    """The tokens of a GGUF header, checked."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.tokens = self._array("tokens", str)
        if not self.tokens:
            raise self.damaged("tokenizer.ggml.tokens is empty.")
        if "tokenizer.ggml.token_type" in file.values:
            self.types = self._array("token_type", int)
        else:
            self.types = [1] * len(self.tokens)
        if len(self.types) != len(self.tokens):
            raise self.damaged("tokens and token_type have different lengths.")
        self.ids: dict[str, int] = {}
        for number, token in enumerate(self.tokens):
            if self.ids.setdefault(token, number) != number:
                raise self.damaged(f"Token {token!r} occurs twice.")

    def special(self, name: str) -> int | None:
        value = self.file.values.get(f"tokenizer.ggml.{name}_token_id")
        if value is None:
            return None
        if not isinstance(value, int) or not 0 <= value < len(self.tokens):
            raise self.damaged(f"tokenizer.ggml.{name}_token_id is {value!r}.")
        return value

    def merges(self) -> list[str]:
        result: list[str] = self._array("merges", str)
        for merge in result:
            left, space, right = merge.partition(" ")
            if not space or not {left, right, left + right} <= self.ids.keys():
                raise self.damaged(f"Merge {merge!r} is not one of known tokens.")
        return result

    def added_tokens(self) -> list[Json]:
        return [
            {
                "id": number, "content": token, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": kind != USER_DEFINED,
            }
            for number, (token, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if kind in (UNKNOWN, CONTROL, USER_DEFINED)
        ]  # fmt: skip

    def _array(self, name: str, kind: type) -> list[Any]:
        value = self.file.values.get(f"tokenizer.ggml.{name}")
        if not isinstance(value, list) or not all(isinstance(v, kind) for v in value):
            raise self.damaged(f"tokenizer.ggml.{name} is missing or of a wrong type.")
        return value

    def damaged(self, why: str) -> DamagedCheckpoint:
        return DamagedCheckpoint(f"The tokenizer in {self.file.path} is damaged.", why=why)


def _pre_tokenizer(file: GgufFile) -> _Pre:
    name = file.values.get("tokenizer.ggml.pre", "default")
    known = _pre_tokenizers()
    if name not in known:
        raise UnsupportedModel(
            f"Pre-tokenizer {name!r} is not known.",
            why=f"{file.path} says tokenizer.ggml.pre = {name!r}; guessing would give other "
            "token ids than the model was trained with.",
            hint="Use the safetensors checkpoint of the same model, which has a tokenizer.json.",
        )
    return known[name]


def _byte_level_bpe(vocabulary: _Vocabulary, pre: _Pre, adds_bos: bool) -> Json:
    # An added token takes its id from the vocabulary, so that the vocabulary holds all of them.
    tokens = zip(vocabulary.tokens, vocabulary.types, strict=True)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added_tokens(),
        "normalizer": pre.normalizer,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [*pre.splits, _byte_level(pre.gpt2)],
        },
        "post_processor": _post_processor(vocabulary, adds_bos),
        "decoder": _byte_level(use_regex=True),
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": pre.whole_words,
            "vocab": {t: i for i, (t, kind) in enumerate(tokens) if kind != UNUSED},
            "merges": vocabulary.merges(),
        },
    }  # fmt: skip


def _post_processor(vocabulary: _Vocabulary, adds_bos: bool) -> Json:
    bos = vocabulary.special("bos")
    if not adds_bos or bos is None:
        return _byte_level(use_regex=False)
    token = vocabulary.tokens[bos]
    first: list[Json] = [{"SpecialToken": {"id": token, "type_id": 0}}]
    a: Json = {"Sequence": {"id": "A", "type_id": 0}}
    b: Json = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [*first, a],
        "pair": [*first, a, *first, b],
        "special_tokens": {token: {"id": token, "ids": [bos], "tokens": [token]}},
    }


def _tokenizer_config(vocabulary: _Vocabulary, adds_bos: bool) -> Mapping[str, Any]:
    config: Json = {"add_bos_token": adds_bos}
    for key, name in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        number = vocabulary.special(key)
        if number is not None:
            config[f"{name}_token"] = vocabulary.tokens[number]
    return config
