"""The bundle computes what float32 transformers computes from the same checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from litertlm.bundle_format.constants import TFLITE_MODEL
from litertlm.bundle_format.header import read_header
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from parity.bundle import CACHE, PREFILL, Decoder, TinyBundles
from parity.golden import DECODED, PROMPT_LENGTHS, Golden, load_golden
from parity.quantized import quantized_logits
from tiny import MODELS

FLOAT_TOLERANCE = 1e-4  # of the golden's largest logit

# Mean KL divergence in nats from transformers in float32, about 1.5 times the worst of the tiny
# models (0.029, 0.0088, 1.6e-5).
MEAN_KL = {"dynamic_int8": 0.043, "int8": 0.013, "fp16": 2.5e-5}
# Of the divergence of logits that are all equal: random weights are the worst case of four bits,
# since nothing about them is redundant (seen: 0.1 to 0.6).
OF_UNIFORM = {"dynamic_int4": 0.8}

# The same from weights that numpy quantized, with float32 activations: what quantizing the
# activations adds, about 1.5 times the worst of the tiny models (0.016, 0.009).
ACTIVATIONS_KL = {"dynamic_int8": 0.024, "dynamic_int4": 0.0135}
# Of the largest logit, where activations are float32.
WEIGHTS_TOLERANCE = 3e-5


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("name", MODELS)
def test_float_logits_equal_transformers(name: str, shapes: str, tiny_bundles: TinyBundles) -> None:
    golden = load_golden(name)
    decoder = Decoder(tiny_bundles.bundle(name, "none", shapes))
    scale = np.abs(golden.logits).max()
    for prompt in PROMPT_LENGTHS:
        have = decoded_logits(decoder, golden, prompt)
        errors = np.abs(have - golden_logits(golden, prompt)).max(-1) / scale
        assert errors.max() <= FLOAT_TOLERANCE, first_wrong(errors, prompt)


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
def test_quantized_logits_stay_close(
    name: str, recipe: str, shapes: str, tiny_bundles: TinyBundles
) -> None:
    golden = load_golden(name)
    decoder = Decoder(tiny_bundles.bundle(name, recipe, shapes))
    exact = np.concatenate([golden_logits(golden, prompt) for prompt in PROMPT_LENGTHS])
    have = np.concatenate([decoded_logits(decoder, golden, prompt) for prompt in PROMPT_LENGTHS])
    assert kl_divergence(exact, have).mean() < golden_limit(recipe, exact)

    every = quantized_logits(tiny_bundles.checkpoint(name), recipe, tuple(golden.tokens.tolist()))
    stored = np.concatenate([every[p - 1 : p + DECODED] for p in PROMPT_LENGTHS])
    if recipe in ACTIVATIONS_KL:
        assert kl_divergence(stored, have).mean() < ACTIVATIONS_KL[recipe]
    else:
        assert np.abs(have - stored).max() <= WEIGHTS_TOLERANCE * np.abs(stored).max()


@pytest.mark.parametrize("recipe", ["dynamic_int8", "int8", "dynamic_int4"])
@pytest.mark.parametrize("name", MODELS)
def test_limits_reject_uniform_logits(name: str, recipe: str) -> None:
    exact = load_golden(name).logits
    uniform = kl_divergence(exact, np.zeros_like(exact)).mean()
    assert uniform > golden_limit(recipe, exact)
    assert uniform > 10 * ACTIVATIONS_KL["dynamic_int8"]


@pytest.mark.parametrize("recipe", ["dynamic_int8", "dynamic_int4"])
def test_limits_reject_a_wrong_scale(
    recipe: str, tiny_bundles: TinyBundles, tmp_path: Path
) -> None:
    name = "qwen3-gqa-tied"
    golden = load_golden(name)
    decoder = Decoder(with_wrong_scale(tiny_bundles, name, recipe, tmp_path))
    prompt = PROMPT_LENGTHS[-1]
    every = quantized_logits(tiny_bundles.checkpoint(name), recipe, tuple(golden.tokens.tolist()))
    divergence = kl_divergence(
        every[prompt - 1 : prompt + DECODED], decoded_logits(decoder, golden, prompt)
    )
    assert divergence.mean() > ACTIVATIONS_KL[recipe]


def with_wrong_scale(tiny_bundles: TinyBundles, name: str, recipe: str, folder: Path) -> Path:
    """A copy of a bundle in which the scales of one matrix are those of another one."""
    options = ConvertOptions(recipe=recipe, kv_cache_max_len=CACHE, prefill_lengths=PREFILL)
    (layout,) = plan_conversion(tiny_bundles.checkpoint(name), options).layouts
    data = bytearray(tiny_bundles.bundle(name, recipe).read_bytes())
    section = read_header(tiny_bundles.bundle(name, recipe)).first(TFLITE_MODEL)
    assert section is not None
    weight = next(w for w in layout.weights if w.constant.name.endswith("0.mlp.down_proj.weight"))
    assert weight.scales is not None
    rows, cols = weight.constant.shape
    block = weight.encoding.block
    kind, count = (np.float16, rows * cols // block) if block else (np.float32, rows)
    scales = np.frombuffer(data, kind, count, section.begin + weight.scales)
    scales[:] = scales[::-1].copy() * kind(2)
    path = folder / "wrong.litertlm"
    path.write_bytes(data)
    return path


def golden_limit(recipe: str, exact: NDArray[np.float32]) -> float:
    """The largest mean KL divergence from `exact` [rows, vocab], transformers' logits."""
    if recipe in MEAN_KL:
        return MEAN_KL[recipe]
    return float(OF_UNIFORM[recipe] * kl_divergence(exact, np.zeros_like(exact)).mean())


def decoded_logits(decoder: Decoder, golden: Golden, prompt: int) -> NDArray[np.float32]:
    """Logits after a prompt of so many tokens and after DECODED more."""
    return decoder.logits(golden.tokens[: prompt + DECODED], prompt)


def golden_logits(golden: Golden, prompt: int) -> NDArray[np.float32]:
    """What transformers has in place of `decoded_logits`."""
    return np.stack([golden.after(prompt - 1 + i) for i in range(DECODED + 1)])


def first_wrong(errors: NDArray[np.float32], prompt: int) -> str:
    """The first position of which the relative error is above FLOAT_TOLERANCE."""
    row = int(np.argmax(~(errors <= FLOAT_TOLERANCE)))
    how = "after the prompt" if row == 0 else f"after {row} decoded tokens"
    return (
        f"prompt of {prompt} tokens: the first wrong logits are those of position "
        f"{prompt - 1 + row} ({how}), {errors[row]:.1e}"
    )


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
