"""The demo model through the runtime and the interpreter against float32 transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from fidelity.demo import GOLDENS, GREEDY_TOKENS, QUESTIONS, prompt
from litertlm.bundle_format.header import read_header
from litertlm.bundle_format.info import read_bundle_info
from litertlm.checkpoint import open_checkpoint
from litertlm.runtime.engine import Decoding, EngineOptions, Sampling
from litertlm.runtime.litert import load_engine
from litertlm.services.verify.quality import check_quality, reference_logits
from litertlm.services.verify.report import Check
from recorder import Recorder

GREEDY = Decoding(Sampling(temperature=0.0, top_k=1, top_p=1.0, seed=0), max_tokens=GREEDY_TOKENS)
END_OF_TURN = 2


@pytest.fixture(scope="module")
def goldens() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDENS.read_text(encoding="utf-8"))
    return content


def test_greedy_answers_equal_transformers(
    demo_gguf: Path, demo_float_bundle: Path, tmp_path: Path, goldens: dict[str, Any]
) -> None:
    content = open_checkpoint(demo_gguf).tokenizer.json
    assert content is not None
    tokenizer = Tokenizer.from_str(content.decode())
    options = EngineOptions(threads=1, cache_dir=tmp_path)
    engine = load_engine(demo_float_bundle, read_bundle_info(demo_float_bundle), options)
    try:
        for question, ids in zip(QUESTIONS, goldens["greedy"], strict=True):
            session = engine.open_session(GREEDY)
            answer = "".join(session.generate(prompt(question)))
            session.close()
            wanted = [token for token in ids if token != END_OF_TURN]
            assert answer == tokenizer.decode(wanted, skip_special_tokens=False), question
    finally:
        engine.close()


def test_the_reference_equals_transformers(demo_gguf: Path, goldens: dict[str, Any]) -> None:
    ids = goldens["prose"]
    logits = reference_logits(open_checkpoint(demo_gguf), ids)[:-1].astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    following = log_probabilities[np.arange(len(ids) - 1), ids[1:]]
    assert np.abs(following - goldens["log_probabilities"]).max() < 1e-3
    assert logits.argmax(-1).tolist() == goldens["most_probable"]


def test_quality_of_float(
    demo_gguf: Path, demo_float_bundle: Path, goldens: dict[str, Any]
) -> None:
    check = quality(demo_float_bundle, demo_gguf, goldens["prose"][:60])
    assert check.values["kl_divergence"] <= 1e-9, check.summary
    assert check.values["top1_agreement"] == 1, check.summary
    assert check.values["tokens"] == 59


def test_quality_of_int8(demo_gguf: Path, demo_bundle: Path, goldens: dict[str, Any]) -> None:
    check = quality(demo_bundle, demo_gguf, goldens["prose"])
    assert check.values["kl_divergence"] <= 0.013, check.summary
    assert check.values["top1_agreement"] >= 0.9, check.summary
    assert check.values["tokens"] == 239


def quality(bundle: Path, gguf: Path, ids: list[int]) -> Check:
    return check_quality(
        bundle,
        read_header(bundle),
        open_checkpoint(gguf),
        ids,
        threads=1,
        progress=Recorder(),
    )
