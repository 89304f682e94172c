"""Token ids in the runtime are those of the checkpoint's own tokenizer, on 2,000 texts."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import litert_lm
import pytest
from tokenizers import Tokenizer

from fidelity import gemma_like
from litertlm.bundle.nfc_compat import LATER_MARKS
from litertlm.bundle.probe_texts import texts as strings
from litertlm.checkpoint import open_checkpoint
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from recorder import Recorder
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS
from tiny.tokenizer import SPECIAL, tokenizer_json

OPTIONS = ConvertOptions(recipe="none", kv_cache_max_len=64)


def compare(bundle: Path, reference: Tokenizer, special: list[str]) -> None:
    texts = strings(2000, special)
    engine = litert_lm.Engine(str(bundle), litert_lm.Backend.CPU(), cache_dir=str(bundle.parent))
    with engine:
        for text in texts:
            wanted = reference.encode(text, add_special_tokens=False).ids
            assert list(engine.tokenize(text)) == wanted, text
    assert len(set(texts)) == 2000


@pytest.mark.parametrize("kind", ["byte-level", "sentencepiece"])
def test_ids_of_a_converted_tokenizer(kind: str, tmp_path: Path) -> None:
    model, special = MODELS["llama-gqa-tied"], ["<bos>", "<|im_end|>"]
    if kind == "sentencepiece":
        model, special = gemma_like.with_vocabulary(model), list(gemma_like.SPECIAL)
    folder = write_checkpoint(model, tmp_path / "checkpoint")
    if kind == "sentencepiece":
        gemma_like.write_tokenizer(folder)
    convert(folder, tmp_path / "tiny.litertlm", OPTIONS, progress=Recorder())
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    compare(tmp_path / "tiny.litertlm", reference, special)


def bytes_with_nfc() -> bytes:
    """A tokenizer.json with a token for each byte, so that no character is lost, and NFC."""
    content = json.loads(tokenizer_json(adds_bos=False))
    shown = [b for b in range(256) if b > 32 and not 127 <= b < 161 and b != 173]
    hidden = [b for b in range(256) if b not in shown]
    alphabet = [*map(chr, shown), *(chr(256 + number) for number in range(len(hidden)))]
    content["model"] |= {
        "vocab": {
            **{t: i for i, t in enumerate(SPECIAL)},
            **{c: 5 + i for i, c in enumerate(alphabet)},
        },
        "merges": [],
    }
    content["normalizer"] = {"type": "NFC"}
    return json.dumps(content).encode()


def test_ids_where_unicode_tables_differ(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "checkpoint")
    (folder / "tokenizer.json").write_bytes(bytes_with_nfc())
    convert(folder, tmp_path / "tiny.litertlm", OPTIONS, progress=Recorder())
    reference = Tokenizer.from_str(bytes_with_nfc().decode())
    rng = random.Random(5)
    # Marks below and above, of class 1, of Indic and Lao scripts, Hangul, and the sign itself.
    others = ["a", "e", "\n", "\u0301", "\u0323", "\u0334", "\u0345", "\u0ec8", "\u0d4d", "\u0c55",
              "\u1100", "\u1161", "\U0010ffff"]  # fmt: skip
    texts = [f"a\u0301{mark}\u0334{mark}\u0301" for mark in LATER_MARKS]
    for _ in range(5000):
        parts = (rng.choice(rng.choice((LATER_MARKS, others))) for _ in range(rng.randrange(1, 9)))
        texts.append("".join(parts))
    engine = litert_lm.Engine(
        str(tmp_path / "tiny.litertlm"), litert_lm.Backend.CPU(), cache_dir=str(tmp_path)
    )
    with engine:
        for text in texts:
            assert list(engine.tokenize(text)) == reference.encode(text).ids, ascii(text)


def test_ids_of_the_demo_model(demo_models: Path, demo_gguf: Path, tmp_path: Path) -> None:
    (bundle,) = demo_models.glob("demo/*/*.litertlm")
    own = tmp_path / bundle.name
    own.hardlink_to(bundle)
    content = open_checkpoint(demo_gguf).tokenizer.json
    assert content is not None
    compare(own, Tokenizer.from_str(content.decode()), ["<|im_start|>", "<|im_end|>"])


def test_texts_are_of_all_kinds() -> None:
    texts = "".join(strings(2000, []))
    names = {unicodedata.name(c, "").split(" ")[0] for c in texts}
    assert len(names) > 100
    assert not any(0xD800 <= ord(c) < 0xE000 for c in texts)
