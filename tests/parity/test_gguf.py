"""A model converted from a GGUF file computes what it computes converted from its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.bundle import Decoder, convert_folder
from parity.golden import golden_tokens
from tiny import MODELS, write_checkpoint
from tiny.gguf_file import write_gguf

# One of each GGUF architecture, with what llama.cpp takes for granted where GGUF cannot say it.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("llama-bias-untied-linear", {}),
    ("llama-gqa-tied", {}),
    ("mistral-window-untied", {}),
    ("qwen2-bias-tied", {}),
    ("qwen3-gqa-tied", {}),
    ("gemma2-softcaps", {"query_pre_attn_scalar": 16}),
    ("gemma3_text-pattern-linear", {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6}),
    ("smollm3-nope-tied", {"no_rope_layer_interval": 4}),
    ("olmo2-bias-linear-tied", {}),
    ("granite-multipliers-tied", {}),
    ("phi3-window-untied", {}),
    ("phi3-partial-longrope-tied", {}),
]


@pytest.mark.parametrize(("name", "changes"), CASES)
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
