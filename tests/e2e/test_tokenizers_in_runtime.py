"""Token ids in the runtime are those of the checkpoint's own tokenizer, on 2,000 texts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import litert_lm
import pytest
from tokenizers import Tokenizer

from fidelity import gemma_like
from litertlm.bundle.sample_texts import texts as strings
from litertlm.checkpoint import open_checkpoint
from litertlm.services.convert import convert
from litertlm.services.options import ConvertOptions
from recorder import Recorder
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS

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
