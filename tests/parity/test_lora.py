"""A bundle of an adapter computes what PEFT computes with the adapter beside its base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parity.bundle import Decoder, TinyBundles, convert_folder
from parity.golden import DECODED, LORA_FILE, LORA_PROMPT, golden_tokens
from parity.test_logits import FLOAT_TOLERANCE
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, TinyAdapter, write_adapter
from tiny.gguf_file import write_gguf


def logits(adapter: TinyAdapter, bundle: Path) -> np.ndarray:
    tokens = golden_tokens(MODELS[adapter.base])[: LORA_PROMPT + DECODED]
    return Decoder(bundle).logits(tokens, LORA_PROMPT)


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapter_gives_the_logits_of_peft(
    name: str, tiny_bundles: TinyBundles, tmp_path: Path
) -> None:
    adapter = ADAPTERS[name]
    base = tiny_bundles.checkpoint(adapter.base)
    folder = write_adapter(adapter, tmp_path / "adapter", base)
    with np.load(LORA_FILE) as stored:
        want = stored[name]
    scale = np.abs(want).max()
    have = logits(adapter, convert_folder(folder, base=base))
    assert np.abs(have - want).max() <= FLOAT_TOLERANCE * scale
    alone = logits(adapter, tiny_bundles.bundle(adapter.base))
    assert np.abs(alone - want).max() > 100 * FLOAT_TOLERANCE * scale, "the adapter does nothing"


def test_base_in_a_gguf_file(tmp_path: Path) -> None:
    adapter = ADAPTERS["attention"]
    model = replace(MODELS[adapter.base], dtype="F32")
    folder = write_adapter(adapter, tmp_path / "adapter", "base")
    base = write_checkpoint(model, tmp_path / "base")
    file = write_gguf(model, tmp_path / "base.gguf")
    want = logits(adapter, convert_folder(folder, base=base))
    have = logits(adapter, convert_folder(folder, base=file))
    assert np.abs(have - want).max() <= 1e-5 * np.abs(want).max()
