"""A model converted from a GGUF file computes what it computes converted from its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from parity.bundle import Decoder, convert_folder
from parity.golden import golden_tokens
from tiny import MODELS, write_checkpoint
from tiny.gguf_file import GGUF_CASES, write_gguf


@pytest.mark.parametrize(("name", "changes"), GGUF_CASES)
def test_gguf_file_gives_the_same_logits(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = replace(MODELS[name], config={**MODELS[name].config, **changes}, dtype="F32")
    folder = write_checkpoint(model, tmp_path / "folder", chat_template=None)
    file = write_gguf(model, tmp_path / "file.gguf")
    tokens = golden_tokens(model)
    want, have = (
        Decoder(convert_folder(source)).logits(tokens, len(tokens) - 3) for source in (folder, file)
    )
    assert np.abs(have - want).max() <= 1e-5 * np.abs(want).max()


def kl(want: NDArray[np.float32], have: NDArray[np.float32]) -> float:
    """Mean divergence of the distributions of two sets of logits [n, vocab]."""
    p, q = (x - np.log(np.exp(x).sum(axis=-1, keepdims=True)) for x in (want, have))
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def test_int4_of_a_q4_0_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    model = MODELS["llama-gqa-tied"]
    tokens = golden_tokens(model)
    lost = {}
    for name in ("Q4_0", "Q8_0"):  # of Q8_0, 4 bits lose much
        stored = gguf.GGMLQuantizationType[name]
        file = write_gguf(model, tmp_path / f"{name}.gguf", matrices=stored)
        exact, int4 = (
            Decoder(convert_folder(file, recipe)).logits(tokens, len(tokens) - 8)
            for recipe in ("none", "dynamic_int4")
        )
        lost[name] = kl(exact, int4)
    assert lost["Q4_0"] < 0.01  # int8 activations
    assert lost["Q8_0"] > 0.1
