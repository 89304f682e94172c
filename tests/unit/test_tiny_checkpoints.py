"""The maker of tiny checkpoints stores values as PyTorch would."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tiny import write_safetensors


def test_bf16_rounds_to_nearest_and_ties_to_even(tmp_path: Path) -> None:
    # One bfloat16 step above 1 is 1/128; ties lie halfway between steps.
    steps = np.array([1.0, 1 + 1 / 256, 1 + 3 / 256, 1 + 1.01 / 256, -1 - 1 / 256])
    write_safetensors(tmp_path / "x.safetensors", {"x": steps}, "BF16")
    stored = np.frombuffer((tmp_path / "x.safetensors").read_bytes()[-10:], "<u2")
    values = (stored.astype("<u4") << 16).view("<f4")
    assert values.tolist() == [1.0, 1.0, 1 + 4 / 256, 1 + 2 / 256, -1.0]
