"""Through the LiteRT-LM runtime, float bundles say token for token what transformers says."""

from __future__ import annotations

from pathlib import Path

import litert_lm
import pytest
from tokenizers import Tokenizer as HfTokenizer

from parity.bundle import TinyBundles
from parity.golden import GREEDY_PROMPT, Golden, load_golden
from tiny import MODELS
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
    assert greedy_pieces(bundle, len(load_golden(name).greedy)) == expected


def greedy_pieces(bundle: Path, tokens: int) -> list[str]:
    """What the runtime streams after GREEDY_PROMPT, one piece of text for each token."""
    with litert_lm.Engine(
        str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=":nocache"
    ) as engine:
        session = engine.create_session(
            apply_prompt_template=False,
            sampler_config=litert_lm.SamplerConfig(top_k=1),
            max_output_tokens=tokens,
        )
        with session:
            session.run_prefill([GREEDY_PROMPT])
            return [piece.texts[0] for piece in session.run_decode_async()]


def expected_pieces(golden: Golden, tokenizer_json: Path) -> list[str]:
    """The golden continuation up to the checkpoint's stop tokens, each token as text."""
    tokenizer = HfTokenizer.from_file(str(tokenizer_json))
    pieces = []
    for token in golden.greedy.tolist():
        if token in (EOS, IM_END):
            break
        pieces.append(tokenizer.decode([token], skip_special_tokens=False))
    return pieces
