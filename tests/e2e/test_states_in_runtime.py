"""The runtime runs a family with recurrent states and a shared cache as numpy computes it."""

from __future__ import annotations

from pathlib import Path

import litert_lm
import numpy as np
import pytest
from tokenizers import Tokenizer

from tiny import stateful
from tiny.tokenizer import EOS, tokenizer_json

PROMPTS = (
    "What is the capital of the valley? The river",
    "Apples",
    "Dear friends, thank you for everything. I will come back.",
)
TOKENS = 24
PREFILL = (8, 32)


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
def test_sessions_one_after_the_other_say_what_numpy_says(shapes: str, tmp_path: Path) -> None:
    bundle = tmp_path / "stateful.litertlm"
    stateful.write_stateful_bundle(bundle, shapes, cache=128, prefill=PREFILL)
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    with litert_lm.Engine(
        str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=":nocache"
    ) as engine:
        for prompt in (*PROMPTS, *PROMPTS):
            assert answer(engine, prompt) == expected(prompt), prompt


def answer(engine: litert_lm.Engine, prompt: str) -> list[str]:
    """What a new session streams after the prompt, greedily, token by token."""
    with engine.create_session(
        apply_prompt_template=False,
        sampler_config=litert_lm.SamplerConfig(top_k=1),
        max_output_tokens=TOKENS,
    ) as session:
        session.run_prefill([prompt])
        return [piece.texts[0] for piece in session.run_decode_async()]


def expected(prompt: str) -> list[str]:
    """The same by numpy; every step is won clearly, or rounding would decide it."""
    tokenizer = Tokenizer.from_str(tokenizer_json(adds_bos=False).decode())
    ids = tokenizer.encode(prompt).ids
    start = len(ids)
    for _ in range(TOKENS):
        logits = stateful.reference_logits(np.array(ids, np.int32))[-1]
        first, second = np.sort(logits)[:-3:-1]
        assert first - second > 1e-3, "change the prompt"
        assert logits.argmax() != EOS, "change the prompt"
        ids.append(int(logits.argmax()))
    return [tokenizer.decode([i], skip_special_tokens=False) for i in ids[start:]]
