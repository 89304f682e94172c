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
