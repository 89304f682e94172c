"""Tokenizer files from the vocabulary in a GGUF header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from litertlm.checkpoint import sentencepiece
from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.checkpoint.gguf_pretokenizers import PRE_TOKENIZERS, PreTokenizer, byte_level
from litertlm.checkpoint.gguf_vocabulary import (
    BYTE,
    CONTROL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Vocabulary,
)
from litertlm.checkpoint.types import Tokenizer
from litertlm.errors import UnsupportedModel

Json = dict[str, Any]


def translate_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer files that the checkpoint had before its conversion to GGUF.

    Raises:
        UnsupportedModel: an unknown kind of vocabulary or pre-tokenizer.
        DamagedCheckpoint: the vocabulary contradicts itself.
    """
    kind = file.values.get("tokenizer.ggml.model")
    if kind not in ("gpt2", "llama", "gemma4"):
        raise UnsupportedModel(
            f"Tokenizer {kind!r} is not supported.",
            why=f"{file.path} says tokenizer.ggml.model = {kind!r}; byte-level BPE (gpt2), "
            "SentencePiece (llama) and Gemma 4's (gemma4) are.",
        )
    vocabulary = Vocabulary(file)
    if kind == "gpt2":
        pre = _pre_tokenizer(file)
        adds_bos = vocabulary.flag("add_bos_token", pre.bos)
        document = _byte_level_bpe(vocabulary, pre)
    else:
        adds_bos = vocabulary.flag("add_bos_token", True)
        prefix = vocabulary.flag("add_space_prefix", kind == "llama")
        document = _sentencepiece_bpe(vocabulary, prefix, has_merges=kind == "gemma4")
    bos = vocabulary.special("bos")
    if adds_bos and bos is not None:
        document["post_processor"] = _bos_first(vocabulary, bos)
    template = file.values.get("tokenizer.chat_template")
    return Tokenizer(
        json=json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
        sentencepiece=None,
        config=_tokenizer_config(vocabulary, adds_bos, document["added_tokens"]),
        chat_template=template if isinstance(template, str) else None,
        adds_bos=adds_bos and bos is not None,
        bos_token_id=bos,
        eos_token_id=vocabulary.special("eos"),
    )


def _pre_tokenizer(file: GgufFile) -> PreTokenizer:
    name = file.values.get("tokenizer.ggml.pre", "default")
    known = PRE_TOKENIZERS.get(name) if isinstance(name, str) else None
    if known is None:
        raise UnsupportedModel(
            f"Pre-tokenizer {name!r} is not supported.",
            why=f"{file.path} says tokenizer.ggml.pre = {name!r}; guessing would give other "
            "token ids than the model was trained with.",
            hint="Use the safetensors checkpoint of the same model, which has a tokenizer.json.",
        )
    return known


def _byte_level_bpe(vocabulary: Vocabulary, pre: PreTokenizer) -> Json:
    # An added token takes its id from the vocabulary, so that the vocabulary must contain them.
    vocab = {
        token: number
        for number, (token, kind) in enumerate(
            zip(vocabulary.tokens, vocabulary.types, strict=True)
        )
        if kind != UNUSED
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(vocabulary, vocabulary.tokens),
        "normalizer": pre.normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre.steps()},
        "post_processor": None,
        "decoder": byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre.ignore_merges,
            "vocab": vocab,
            "merges": _stored_merges(vocabulary, vocab),
        },
    }


def _stored_merges(vocabulary: Vocabulary, vocab: Mapping[str, int]) -> list[str]:
    """The merges that the header lists, each a pair of tokens with a space between.

    Raises:
        DamagedCheckpoint: a merge is not one of tokens.
    """
    merges: list[str] = vocabulary.array("merges", str)
    for merge in merges:
        left, space, right = merge.partition(" ")
        if not space or not {left, right, left + right} <= vocab.keys():
            raise vocabulary.damaged(f"Merge {merge!r} is not a pair of tokens of the vocabulary.")
    return merges


def _sentencepiece_bpe(vocabulary: Vocabulary, add_prefix: bool, *, has_merges: bool) -> Json:
    """As transformers converts a `tokenizer.model` of Llama 2 or Gemma.

    Args:
        has_merges: the header lists the merges; else they follow from scores.
    """
    pieces = sentencepiece.pieces(vocabulary)
    replace: Json = {
        "type": "Replace", "pattern": {"String": " "}, "content": sentencepiece.SPACE,
    }  # fmt: skip
    prepend: Json = {"type": "Prepend", "prepend": sentencepiece.SPACE}
    decoders: list[Json] = [
        {"type": "Replace", "pattern": {"String": sentencepiece.SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if add_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    unknown = vocabulary.special("unknown")
    if unknown is None and UNKNOWN in vocabulary.types:
        unknown = vocabulary.types.index(UNKNOWN)
    vocab = {
        piece: number
        for number, (piece, kind) in enumerate(zip(pieces, vocabulary.types, strict=True))
        if kind != UNUSED
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(vocabulary, pieces),
        "normalizer": (
            {"type": "Sequence", "normalizers": [prepend, replace]} if add_prefix else replace
        ),
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "unk_token": None if unknown is None else pieces[unknown],
            "fuse_unk": True,
            "byte_fallback": BYTE in vocabulary.types,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": (
                _stored_merges(vocabulary, vocab)
                if has_merges
                else sentencepiece.merges(vocabulary)
            ),
        },
    }


def _added_tokens(vocabulary: Vocabulary, contents: list[str]) -> list[Json]:
    """Tokens that are matched in a text before any other step."""
    strips = _strips_after_tokens(vocabulary)
    return [
        {
            "id": number,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": content in strips,
            "normalized": False,
            "special": kind != USER_DEFINED,
        }
        for number, (content, kind) in enumerate(zip(contents, vocabulary.types, strict=True))
        if kind in (UNKNOWN, CONTROL, USER_DEFINED)
    ]


def _strips_after_tokens(vocabulary: Vocabulary) -> set[str]:
    """Tokens that strip the white space after them: those of Phi-3, as in llama.cpp."""
    values = vocabulary.file.values
    if (values.get("general.architecture"), values.get("tokenizer.ggml.model")) != (
        "phi3",
        "llama",
    ):
        return set()
    added = {
        token
        for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True)
        if kind in (CONTROL, USER_DEFINED)
    }
    return added - {"<unk>", "<s>", "<|endoftext|>"}


def _bos_first(vocabulary: Vocabulary, bos: int) -> Json:
    token = vocabulary.tokens[bos]
    first: Json = {"SpecialToken": {"id": token, "type_id": 0}}
    a: Json = {"Sequence": {"id": "A", "type_id": 0}}
    b: Json = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [first, a],
        "pair": [first, a, first, b],
        "special_tokens": {token: {"id": token, "ids": [bos], "tokens": [token]}},
    }


def _tokenizer_config(
    vocabulary: Vocabulary, adds_bos: bool, added_tokens: list[Json]
) -> Mapping[str, Any]:
    config: Json = {
        "add_bos_token": adds_bos,
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in added_tokens
        },
    }
    for key, name in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        number = vocabulary.special(key)
        if number is not None:
            config[f"{name}_token"] = vocabulary.tokens[number]
    return config
