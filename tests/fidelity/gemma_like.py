"""A small tokenizer.json of Gemma's kind: what transformers makes of a SentencePiece model."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, trainers

from litertlm.bundle.probe_texts import CODE
from tiny.model import TinyModel

SPACE = "\u2581"
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<table>")
RUNS = tuple(unit * n for unit in ("\n", SPACE, "\t") for n in range(2, 32))
_TEXT = """
The quick brown fox jumps over the lazy dog. Die schnelle braune Füchsin springt über den Hund.
Être ou ne pas être, voilà la question. Съешь же ещё этих мягких французских булок.
我能吞下玻璃而不伤身体。
わたしはガラスを食べられます。それはわたしを傷つけません。 나는 유리를 먹을 수 있어요.
أنا قادر على أكل الزجاج
मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती.
Hello world, hello there! Don't, can't, won't.
"""


def with_vocabulary(model: TinyModel) -> TinyModel:
    """A tiny model whose embedding has a row for each of the tokens."""
    size = len(tokenizer_json()["model"]["vocab"])
    return replace(model, config={**model.config, "vocab_size": size})


def write_tokenizer(folder: Path) -> None:
    """Put the tokenizer into a checkpoint."""
    content = json.dumps(tokenizer_json())
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")


@lru_cache
def tokenizer_json() -> dict[str, Any]:
    """tokenizer.json as an object."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", SPACE)
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, max_token_length=8)
    trained.train_from_iterator([*_TEXT.split("\n"), *CODE], trainer)
    learned = trained.get_vocab()
    pieces = sorted(
        (p for p in learned if p not in RUNS and "\n" not in p), key=learned.__getitem__
    )
    names = [*SPECIAL, *RUNS, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, "\n", "\t"]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys(names))}
    merges = [
        [piece[:cut], piece[cut:]]
        for piece in (*reversed(RUNS), *pieces)
        for cut in range(len(piece) - 1, 0, -1)
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": vocabulary[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": token in SPECIAL,
            }
            for token in (*SPECIAL, *RUNS)
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
