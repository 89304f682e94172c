"""Convolutions whose inputs are in a key cache: sessions do not disturb each other, and rewind."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import litert_lm
import pytest
from litert_lm import _ffi

from converted import write_bundle
from litertlm.services.convert.options import ConvertOptions
from parity.golden import GREEDY_PROMPT, load_golden
from parity.test_greedy import expected_pieces
from tiny import MODELS, write_checkpoint

NAMES = ("lfm2-bias-four-taps-untied", "lfm3-gates-window-untied")
OTHER_PROMPT = GREEDY_PROMPT[: len(GREEDY_PROMPT) // 2] + " and something else, which is longer"


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def checkpoint(name: str, tmp_path: Path) -> Path:
    return write_checkpoint(MODELS[name], tmp_path / "checkpoint", chat_template=None)


@pytest.fixture(params=["dynamic", "static"])
def engine(
    request: pytest.FixtureRequest, checkpoint: Path, tmp_path: Path
) -> Iterator[litert_lm.Engine]:
    options = ConvertOptions(
        recipe="none", shapes=request.param, kv_cache_max_len=128, prefill_lengths=(8, 32)
    )
    bundle = write_bundle(checkpoint, tmp_path / "model.litertlm", options)
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    backend = litert_lm.Backend.CPU(thread_count=2)
    with litert_lm.Engine(str(bundle), backend=backend, cache_dir=":nocache") as engine:
        yield engine


@pytest.fixture
def expected(name: str, checkpoint: Path) -> list[str]:
    return expected_pieces(load_golden(name), checkpoint / "tokenizer.json")


def open_session(engine: litert_lm.Engine) -> litert_lm.Session:
    return engine.create_session(
        apply_prompt_template=False,
        sampler_config=litert_lm.SamplerConfig(top_k=1),
        max_output_tokens=len(load_golden(NAMES[0]).greedy),
    )


def decode(session: litert_lm.Session) -> list[str]:
    return [piece.texts[0] for piece in session.run_decode_async()]


def test_sessions_one_after_the_other_and_interleaved(
    engine: litert_lm.Engine, expected: list[str]
) -> None:
    with open_session(engine) as session:
        session.run_prefill([OTHER_PROMPT])
        assert decode(session) != expected
    with open_session(engine) as first, open_session(engine) as second:
        first.run_prefill([GREEDY_PROMPT])
        second.run_prefill([OTHER_PROMPT])
        decode(second)
        assert decode(first) == expected
    with open_session(engine) as session:
        session.run_prefill([GREEDY_PROMPT])
        assert decode(session) == expected


def test_a_rewound_session_continues_the_new_text(
    engine: litert_lm.Engine, expected: list[str]
) -> None:
    rewind = _ffi._get_lib().litert_lm_session_rewind_to_step
    rewind.argtypes = [ctypes.c_void_p, ctypes.c_int]
    with open_session(engine) as session:
        session.run_prefill([OTHER_PROMPT])
        decode(session)
        assert rewind(session._ptr, 0) == 0
        session.run_prefill([GREEDY_PROMPT])
        assert decode(session) == expected
