"""Tied models that store a head too: another head is used, as in transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from parity.bundle import Decoder, convert_folder
from parity.golden import DECODED, HEAD_FILE, HEAD_PROMPT, golden_tokens
from parity.test_logits import FLOAT_TOLERANCE
from tiny import MODELS, write_checkpoint, write_safetensors
from tiny.gguf_file import write_gguf
from tiny.other_head import STORED_HEAD, tied_model, with_head, write_with_head


def logits(name: str, bundle: Path) -> np.ndarray:
    tokens = golden_tokens(MODELS[name])[: HEAD_PROMPT + DECODED]
    return Decoder(bundle).logits(tokens, HEAD_PROMPT)


@pytest.mark.parametrize("name", STORED_HEAD)
def test_another_head_gives_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    folder = write_with_head(name, tmp_path / "folder", equal=False)
    with np.load(HEAD_FILE) as stored:
        want = stored[name]
    scale = np.abs(want).max()
    assert np.abs(logits(name, convert_folder(folder)) - want).max() <= FLOAT_TOLERANCE * scale
    tied = write_with_head(name, tmp_path / "tied", equal=True)
    alone = logits(name, convert_folder(tied))
    assert np.abs(alone - want).max() > 100 * FLOAT_TOLERANCE * scale, "the head does nothing"


@pytest.mark.parametrize("name", STORED_HEAD)
def test_an_equal_head_is_not_stored(name: str, tmp_path: Path) -> None:
    options = ConvertOptions(kv_cache_max_len=64)
    plain = write_checkpoint(tied_model(name), tmp_path / "plain", chat_template=None)
    twice = write_with_head(name, tmp_path / "twice", equal=True)
    assert plan_conversion(twice, options).nbytes == plan_conversion(plain, options).nbytes


@pytest.mark.parametrize("name", ["llama-gqa-tied", "gemma3_text-pattern-linear"])
def test_another_head_in_a_gguf_file(name: str, tmp_path: Path) -> None:
    model = replace(tied_model(name), dtype="F32")
    model = replace(model, config={**model.config, **(MODELS[name].gguf or {})})
    folder = write_checkpoint(model, tmp_path / "folder", chat_template=None)
    tensors = with_head(model, equal=False)
    write_safetensors(folder / "model.safetensors", tensors, model.dtype)
    file = write_gguf(model, tmp_path / "file.gguf", tensors=tensors)
    want = logits(name, convert_folder(folder))
    have = logits(name, convert_folder(file))
    assert np.abs(have - want).max() <= 1e-5 * np.abs(want).max()
