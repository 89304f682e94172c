"""The float32 reference of `verify` computes what float32 transformers computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from litertlm.checkpoint import open_checkpoint
from litertlm.services.verify.quality import reference_logits
from parity.golden import POSITIONS, load_golden
from tiny import MODELS, write_checkpoint


@pytest.mark.parametrize("name", MODELS)
def test_reference_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    checkpoint = open_checkpoint(write_checkpoint(MODELS[name], tmp_path))
    logits = reference_logits(checkpoint, golden.tokens.tolist())[list(POSITIONS)]
    error = np.abs(logits - golden.logits).max() / np.abs(golden.logits).max()
    assert error <= 1e-4, f"{error:.1e}"
