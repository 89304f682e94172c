"""The float32 reference of `verify` computes what float32 transformers computes."""

from __future__ import annotations

import numpy as np
import pytest

from litertlm.checkpoint import open_checkpoint
from litertlm.services.verify.quality import reference_logits
from parity.bundle import TinyBundles
from parity.golden import POSITIONS, load_golden
from tiny import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_reference_logits_equal_transformers(name: str, tiny_bundles: TinyBundles) -> None:
    golden = load_golden(name)
    checkpoint = open_checkpoint(tiny_bundles.checkpoint(name))
    logits = reference_logits(checkpoint, golden.tokens.tolist())[list(POSITIONS)]
    error = np.abs(logits - golden.logits).max() / np.abs(golden.logits).max()
    assert error <= 1e-4, f"{error:.1e}"
