"""The tokenizer of a bundle has the same token ids as the checkpoint's."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer as Reference

from fidelity.gemma_like import tokenizer_json
from litertlm.bundle.probe_texts import texts as strings
from litertlm.bundle.sentencepiece_bpe import (
    NotSentencePiece,
    match_control_pieces,
    sentencepiece_model,
)
from litertlm.bundle.tokenizer import choose_tokenizer
from litertlm.bundle.tokenizer_json import TokenizerFile
from litertlm.checkpoint import Tokenizer
from litertlm.errors import DamagedCheckpoint, UnsupportedModel
from tiny.tokenizer import tokenizer_json as byte_level_json


def tokenizer(json_bytes: bytes | None, model: bytes | None = None) -> Tokenizer:
    return Tokenizer(
        json_bytes, model, {}, None, adds_bos=False, bos_token_id=None, eos_token_id=None
    )


def test_a_checkpoint_without_tokenizer_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match=r"neither tokenizer\.json"):
        choose_tokenizer(tokenizer(None))


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [3]}}']
)
def test_a_damaged_tokenizer_is_named(content: bytes) -> None:
    with pytest.raises(DamagedCheckpoint, match=r"tokenizer\.json"):
        choose_tokenizer(tokenizer(content))


def test_a_tokenizer_of_gemmas_kind_becomes_sentencepiece() -> None:
    chosen = choose_tokenizer(tokenizer(json.dumps(tokenizer_json()).encode()))
    assert chosen.kind == "sentencepiece"
    assert b"<start_of_turn>" in chosen.data


def changed(path: str, value: object) -> dict[str, Any]:
    found = copy.deepcopy(tokenizer_json())
    *outer, last = path.split("/")
    place: Any = found
    for key in outer:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return found


def _one_merge_less(found: dict[str, Any]) -> None:
    found["model"]["merges"].pop()


def _merge_moved(found: dict[str, Any]) -> None:
    merges = found["model"]["merges"]
    made = [left + right for left, right in merges]
    twice = next(p for p in reversed(made) if made.count(p) > 1)
    merges.append(merges.pop(made.index(twice)))
    if made[-1] == twice:
        merges.insert(0, merges.pop())


def _hole_in_ids(found: dict[str, Any]) -> None:
    vocabulary = found["model"]["vocab"]
    vocabulary[list(vocabulary)[-1]] += 1


@pytest.mark.parametrize("change", [_one_merge_less, _merge_moved, _hole_in_ids])
def test_merges_that_scores_cannot_express_stay_as_they_are(
    change: Callable[[dict[str, Any]], None],
) -> None:
    found = copy.deepcopy(tokenizer_json())
    change(found)
    with pytest.raises(NotSentencePiece):
        sentencepiece_model(TokenizerFile(json.dumps(found).encode()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("normalizer", None),
        ("normalizer", {"type": "NFC"}),
        ("pre_tokenizer", {"type": "ByteLevel"}),
        ("model/byte_fallback", False),
        ("model/ignore_merges", True),
        ("added_tokens/0/lstrip", True),
        ("added_tokens/0/normalized", True),
    ],
)
def test_rules_that_sentencepiece_lacks_keep_tokenizer_json(path: str, value: object) -> None:
    chosen = choose_tokenizer(tokenizer(json.dumps(changed(path, value)).encode()))
    assert chosen.kind == "huggingface"


def test_a_compacted_tokenizer_keeps_every_id() -> None:
    original = byte_level_json(adds_bos=False)
    chosen = choose_tokenizer(tokenizer(original))
    assert chosen.kind == "huggingface"
    assert len(chosen.data) < len(original)
    before, after = Reference.from_str(original.decode()), Reference.from_str(chosen.data.decode())
    for text in strings(500, ["<bos>", "<|im_end|>"]):
        assert before.encode(text).ids == after.encode(text).ids


@pytest.mark.parametrize("form", [{"type": "NFC"}, {"type": "Sequence", "normalizers": [
    {"type": "NFC"}, {"type": "Lowercase"}]}])  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_nfc_is_written_for_newer_tables_without_changing_a_text(
    form: dict[str, object], indent: int | None
) -> None:
    content = json.loads(byte_level_json(adds_bos=False))
    content["normalizer"] = form
    original = json.dumps(content, indent=indent, ensure_ascii=False).encode()
    chosen = choose_tokenizer(tokenizer(original))
    stored = json.loads(chosen.data)
    assert stored["model"]["vocab"] == content["model"]["vocab"]
    assert stored["added_tokens"] == content["added_tokens"]
    before, after = (
        Reference.from_str(data.decode()).normalizer for data in (original, chosen.data)
    )
    for text in (*strings(300, []), "a\u0ec8\u0eba\U0010ffff\u0eba\U0010ffff\U0010ffffe\u0301"):
        assert before.normalize_str(text) == after.normalize_str(text)
    assert len(stored["normalizer"]["normalizers"]) > 100


def test_control_tokens_of_a_tokenizer_model_are_found_in_text() -> None:
    piece = b"\n\x04</s>\x15\x00\x00\x00\x00\x18"
    control = b"\n" + bytes([len(piece) + 1]) + piece + b"\x03"
    normal = b"\n" + bytes([len(piece) + 1]) + piece + b"\x01"
    trainer = b"\x12\x02\x18\x02"
    changed_model = match_control_pieces(control + normal + trainer)
    assert changed_model == control[:-1] + b"\x04" + normal + trainer
    assert choose_tokenizer(tokenizer(None, control + trainer)).kind == "sentencepiece"


def test_a_truncated_tokenizer_model_is_named() -> None:
    with pytest.raises(DamagedCheckpoint, match=r"tokenizer\.model"):
        choose_tokenizer(tokenizer(None, b"\n\xff"))


@pytest.mark.parametrize("form", ["pairs", "texts"])
def test_merges_are_read_in_blocks_at_any_place(form: str) -> None:
    """Tokens that look like the end of a merge do not end a block."""
    tokens = ["],[", "a", '",', "\\", '"', "]", "é"]
    pairs = [[left, right] for left in tokens for right in tokens] * 3000
    merges = pairs if form == "pairs" else [" ".join(pair) for pair in pairs]
    model = {"type": "BPE", "vocab": {"a": 0}, "merges": merges}
    for indent in (None, 2):
        content = json.dumps({"model": model}, indent=indent, ensure_ascii=False).encode()
        file = TokenizerFile(content)
        assert [pair for block in file.merges() for pair in block] == pairs
        compacted = json.loads(file.compact())["model"]["merges"]
        assert compacted == [" ".join(pair) for pair in pairs]
