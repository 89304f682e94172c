"""SentencePiece vocabularies in GGUF files give the ids of the tokenizer that they came from."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers

from litertlm.checkpoint import Tokenizer as CheckpointTokenizer
from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.checkpoint.gguf_tokenizer import translate_tokenizer
from litertlm.errors import DamagedCheckpoint

SPACE = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>", "<start_of_turn>"]
TEXT = [
    "It was the best of times, it was the worst of times, it was the age of wisdom,",
    "  def f(x):\n        return x + 1  # indented by eight",
    "Привет, мир! Dobrý den, světe. こんにちは世界",
]


@lru_cache(maxsize=2)
def original(add_prefix: bool) -> Tokenizer:
    """A tokenizer as transformers converts one of Llama 2 (or, without a prefix, Gemma)."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", SPACE)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), replace] if add_prefix else [replace]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        max_token_length=8,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    # The byte pieces are only special to the trainer.
    trained = tokenizer.model
    result = Tokenizer(trained)
    result.normalizer = tokenizer.normalizer
    result.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback()])
    result.add_special_tokens([AddedToken(t, normalized=False) for t in SPECIAL])
    return result


def header(add_prefix: bool, **changes: Any) -> GgufFile:
    """What llama.cpp's converter writes of that tokenizer."""
    tokenizer = original(add_prefix)
    vocab = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    first = len(SPECIAL) + 256
    values: dict[str, Any] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": vocab,
        # Learned pieces are in the order of their merges; the higher score is merged first.
        "tokenizer.ggml.scores": [
            -1000.0 if i < len(SPECIAL) else float(min(first - i, 0)) for i in range(len(vocab))
        ],
        "tokenizer.ggml.token_type": [
            2 if i == 0 else 3 if i < len(SPECIAL) else 6 if i < first else 1
            for i in range(len(vocab))
        ],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": add_prefix,
    }
    return GgufFile(Path("m.gguf"), {**values, **changes}, {})


def gemma4_header(**changes: Any) -> GgufFile:
    """What llama.cpp's converter writes of the tokenizer without a prefix, as Gemma 4's: the
    merges are listed, and the scores say nothing."""
    content = json.loads(original(False).to_str())
    values = {
        "tokenizer.ggml.model": "gemma4",
        "tokenizer.ggml.scores": [-1000.0] * len(content["model"]["vocab"]),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in content["model"]["merges"]],
    }
    return header(False, **{**values, **changes})


@lru_cache(maxsize=2)
def translated(add_prefix: bool) -> tuple[CheckpointTokenizer, Tokenizer]:
    tokenizer = translate_tokenizer(header(add_prefix))
    assert tokenizer.json is not None
    return tokenizer, Tokenizer.from_buffer(tokenizer.json)


@lru_cache(maxsize=1)
def translated_gemma4() -> Tokenizer:
    content = translate_tokenizer(gemma4_header()).json
    assert content is not None
    return Tokenizer.from_buffer(content)


ANY_TEXT = st.lists(st.integers(1, 0xD7FF) | st.integers(0xE000, 0x10FFFF)).map(
    lambda codes: "".join(map(chr, codes))
)
TEXTS = st.text(st.sampled_from("itwashebofms ,.\n\tПривéß日😀▁<>123")) | ANY_TEXT


@pytest.mark.parametrize("add_prefix", [True, False])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_ids_of_any_text(add_prefix: bool, text: str) -> None:
    _, ours = translated(add_prefix)
    expected = original(add_prefix).encode(text, add_special_tokens=False).ids
    assert ours.encode(text, add_special_tokens=False).ids == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_ids_of_any_text_with_listed_merges(text: str) -> None:
    tokenizer = translated_gemma4()
    expected = original(False).encode(text, add_special_tokens=False).ids
    assert tokenizer.encode(text, add_special_tokens=False).ids == expected


def test_gemma4_adds_bos_and_decodes_spaces() -> None:
    ours = translated_gemma4()
    ids = ours.encode("it was  the best").ids
    assert ids[0] == 1
    assert ours.decode(ids) == "it was  the best"


def test_a_listed_merge_must_be_of_tokens() -> None:
    with pytest.raises(DamagedCheckpoint) as caught:
        translate_tokenizer(gemma4_header(**{"tokenizer.ggml.merges": ["i nothing"]}))
    assert "Merge 'i nothing'" in caught.value.why


@pytest.mark.parametrize("add_prefix", [True, False])
def test_special_tokens_in_a_prompt(add_prefix: bool) -> None:
    tokenizer, ours = translated(add_prefix)
    assert (tokenizer.adds_bos, tokenizer.bos_token_id, tokenizer.eos_token_id) == (True, 1, 2)
    text = "<start_of_turn>it was the best"
    ids = ours.encode(text).ids
    assert ids == [1, *original(add_prefix).encode(text, add_special_tokens=False).ids]
    assert ids[1] == 3
    assert ours.decode(ids).strip() == "it was the best"


def test_runs_of_spaces_are_user_defined_in_gemma() -> None:
    file = header(False)
    tokens = [t if t != SPACE * 2 else "  " for t in file.values["tokenizer.ggml.tokens"]]
    number = tokens.index("  ")
    types = list(file.values["tokenizer.ggml.token_type"])
    types[number] = 4
    changes = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    tokenizer = translate_tokenizer(header(False, **changes))
    assert tokenizer.json is not None
    assert number in Tokenizer.from_buffer(tokenizer.json).encode("a  b").ids


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer.ggml.scores": None}, "scores is missing"),
        ({"tokenizer.ggml.scores": [0.0]}, "1 elements for"),
        ({"tokenizer.ggml.scores": [-1000.0] * 700}, "order of merges is lost"),
    ],
)
def test_scores_that_say_nothing(changes: dict[str, Any], message: str) -> None:
    file = header(True)
    if changes["tokenizer.ggml.scores"] and len(changes["tokenizer.ggml.scores"]) > 1:
        changes = {"tokenizer.ggml.scores": [-1000.0] * len(file.values["tokenizer.ggml.tokens"])}
    with pytest.raises(DamagedCheckpoint) as caught:
        translate_tokenizer(header(True, **changes))
    assert message in caught.value.why
