"""Where the scales lie in a file changes nothing of what it computes."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from parity.bundle import Decoder, TinyBundles, convert_folder, tflite_model
from parity.golden import load_golden
from tiny import MODELS, write_checkpoint

NAME = "qwen3-gqa-tied"
plan_module = importlib.import_module("litertlm.tflite.plan")  # `plan` is also its function


@pytest.mark.parametrize("recipe", ["dynamic_int8", "dynamic_int4"])
def test_a_file_too_long_for_offsets_computes_the_same(
    recipe: str, tiny_bundles: TinyBundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = load_golden(NAME).tokens[:24]
    usual = tiny_bundles.bundle(NAME, recipe)
    monkeypatch.setattr(plan_module, "_REACH", 100_000)
    long = convert_folder(
        write_checkpoint(MODELS[NAME], tmp_path / "long", chat_template=None), recipe
    )
    assert tflite_model(usual) != tflite_model(long)
    want, have = Decoder(usual).logits(tokens, 16), Decoder(long).logits(tokens, 16)
    assert np.array_equal(want, have)
