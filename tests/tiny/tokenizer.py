"""A small byte-level BPE tokenizer, trained on the spot from a fixed text.

Its alphabet is printable ASCII, so that whatever a random model says is readable text and a
runtime that returns text can be compared token for token.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import Any

VOCAB_SIZE = 320
PAD, BOS, EOS, IM_START, IM_END = range(5)
SPECIAL = ("<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

_TEXT = """
The quick brown fox jumps over the lazy dog while the other animals of the forest watch from their
places in the shade. When the morning light comes through the trees, the birds begin their songs and
the river carries the first leaves of autumn down to the valley. There was once a small village at
the end of this valley, where people lived from what the land gave them: apples, honey, bread and
water from the spring. Every evening they sat together and told each other stories about the world
beyond the mountains, about ships and cities, about machines that could think and answer questions.
What is the capital of that country? How many days are there in a year, and why does the moon change
its shape? Nobody was sure, but everybody had something to say. The oldest of them used to answer
that questions matter more than answers, because an answer ends the conversation and a question
keeps it going. In 1984 a stranger came, asked for 12 apples and 30 loaves of bread, paid with
silver and left a letter. It said: "Dear friends, thank you for everything. I will come back."
"""


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """All tokens in the order of their ids, and the merges in the order of their ranks."""
    words = Counter(re.findall(r" ?[A-Za-z]+| ?[^\sA-Za-z]+|\s", _TEXT))
    # GPT-2's byte alphabet shows a space as Ġ and a line feed as Ċ.
    pieces = {
        tuple(word.replace(" ", "Ġ").replace("\n", "Ċ")): count for word, count in words.items()
    }
    tokens = [*SPECIAL, "Ċ", "Ġ", *map(chr, range(33, 127))]
    merges: list[tuple[str, str]] = []
    while len(tokens) < VOCAB_SIZE:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in pieces.items():
            for pair in pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        tokens.append("".join(best))
        pieces = {_merge(word, best): count for word, count in pieces.items()}
    return tuple(tokens), tuple(merges)


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for piece in word:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def tokenizer_json(*, adds_bos: bool) -> bytes:
    """tokenizer.json in the format of the `tokenizers` library."""
    tokens, merges = _vocabulary()
    post: dict[str, Any] = {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": False,
        "use_regex": True,
    }
    if adds_bos:
        bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
        first, second = ({"Sequence": {"id": t, "type_id": i}} for i, t in enumerate("AB"))
        post = {
            "type": "TemplateProcessing",
            "single": [bos, first],
            "pair": [bos, first, second],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [BOS], "tokens": ["<bos>"]}},
        }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, token in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": post,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def tokenizer_config(*, adds_bos: bool, chat_template: str | None) -> dict[str, Any]:
    """tokenizer_config.json."""
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>" if adds_bos else None,
        "eos_token": "<|im_end|>",
        "pad_token": "<pad>",
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(i): {
                "content": token,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": True,
            }
            for i, token in enumerate(SPECIAL)
        },
    }
    if chat_template is not None:
        config["chat_template"] = chat_template
    return config
