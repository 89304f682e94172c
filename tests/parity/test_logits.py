"""The bundle computes what float32 transformers computes from the same checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from parity.bundle import Decoder, convert_tiny
from parity.golden import DECODED, PROMPT_LENGTHS, load_golden
from tiny import MODELS

FLOAT_TOLERANCE = 1e-4  # of the golden's largest logit
# Mean KL divergence in nats, a little above the worst of the tiny models; their medians are
# 0.006, 0.002, 6e-12 (16-bit checkpoints are exact in float16) and 0.6. Random weights are the
# worst case of four bits: nothing about them is redundant.
MEAN_KL = {"dynamic_int8": 0.035, "int8": 0.012, "fp16": 5e-5, "dynamic_int4": 2.0}


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("name", MODELS)
def test_float_logits_equal_transformers(name: str, shapes: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    bundle = convert_tiny(MODELS[name], tmp_path, "none", shapes)
    scale = np.abs(golden.logits).max()
    for prompt in PROMPT_LENGTHS:
        decoder = Decoder(bundle)
        logits = decoder.logits(golden.tokens[: prompt + DECODED], prompt)
        want = np.stack([golden.after(prompt - 1 + i) for i in range(DECODED + 1)])
        error = np.abs(logits - want).max() / scale
        assert error <= FLOAT_TOLERANCE, f"prompt of {prompt} tokens: {error:.1e}"


@pytest.mark.parametrize(
    ("recipe", "shapes"),
    [
        ("dynamic_int8", "dynamic"),
        ("dynamic_int8", "static"),
        ("int8", "dynamic"),
        ("fp16", "dynamic"),
        ("dynamic_int4", "dynamic"),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_quantized_logits_stay_close(name: str, recipe: str, shapes: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    bundle = convert_tiny(MODELS[name], tmp_path, recipe, shapes)
    divergences = []
    for prompt in PROMPT_LENGTHS:
        logits = Decoder(bundle).logits(golden.tokens[: prompt + DECODED], prompt)
        want = np.stack([golden.after(prompt - 1 + i) for i in range(DECODED + 1)])
        divergences.append(kl_divergence(want, logits))
    assert np.mean(divergences) < MEAN_KL[recipe]


def kl_divergence(want: NDArray[np.float32], have: NDArray[np.float32]) -> NDArray[np.float64]:
    """KL(want || have) in nats of each row of logits `[rows, vocab]`."""
    p, q = _log_softmax(want), _log_softmax(have)
    divergence: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(-1)
    return divergence


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    x = logits.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    result: NDArray[np.float64] = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return result
