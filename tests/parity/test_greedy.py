"""Through the LiteRT-LM runtime, float bundles say token for token what transformers says.

A second session on the same engine says it again: nothing of the first one, such as the state of a
convolution, may be left (see also test_partitions.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import litert_lm
import pytest
from tokenizers import Tokenizer as HfTokenizer

from parity.bundle import TinyBundles, convert_folder
from parity.golden import GREEDY_PROMPT, Golden, load_golden
from tiny import MODELS, write_checkpoint
from tiny.tokenizer import EOS, IM_END


@pytest.fixture(autouse=True)
def quiet_runtime() -> None:
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
@pytest.mark.parametrize("name", MODELS)
def test_greedy_continuation_equals_transformers(
    name: str, shapes: str, tiny_bundles: TinyBundles
) -> None:
    bundle = tiny_bundles.bundle(name, "none", shapes)
    tokenizer = tiny_bundles.checkpoint(name) / "tokenizer.json"
    expected = expected_pieces(load_golden(name), tokenizer)
    tokens = len(load_golden(name).greedy)
    assert greedy_pieces(bundle, tokens, tokens) == [expected] * 2, "in each of two sessions"


def greedy_pieces(bundle: Path, *tokens: int) -> list[list[str]]:
    """What sessions on one engine, each of so many tokens, stream after GREEDY_PROMPT: one piece of
    text for each token."""
    answers = []
    with litert_lm.Engine(
        str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=":nocache"
    ) as engine:
        for most in tokens:
            session = engine.create_session(
                apply_prompt_template=False,
                sampler_config=litert_lm.SamplerConfig(top_k=1),
                max_output_tokens=most,
            )
            with session:
                session.run_prefill([GREEDY_PROMPT])
                answers.append([piece.texts[0] for piece in session.run_decode_async()])
    return answers


def test_suppressed_tokens_are_never_chosen(tmp_path: Path) -> None:
    """`suppress_tokens` of generation_config.json: Gemma 4 has its tokens of images there."""
    name = "llama-gqa-tied"
    source = write_checkpoint(MODELS[name], tmp_path / "checkpoint", chat_template=None)
    usual = load_golden(name).greedy.tolist()
    (source / "generation_config.json").write_text(json.dumps({"suppress_tokens": usual}))
    (answer,) = greedy_pieces(convert_folder(source), len(usual))
    tokenizer = HfTokenizer.from_file(str(source / "tokenizer.json"))
    pieces = {tokenizer.decode([token], skip_special_tokens=False) for token in usual}
    assert answer
    assert pieces.isdisjoint(answer)


def expected_pieces(golden: Golden, tokenizer_json: Path) -> list[str]:
    """The golden continuation up to the checkpoint's stop tokens, each token as text."""
    tokenizer = HfTokenizer.from_file(str(tokenizer_json))
    pieces = []
    for token in golden.greedy.tolist():
        if token in (EOS, IM_END):
            break
        pieces.append(tokenizer.decode([token], skip_special_tokens=False))
    return pieces
