"""A restarted session says what a new one says, with the scores of a new one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fidelity.cases import template_text
from litertlm.bundle_format.info import read_bundle_info
from litertlm.runtime.engine import Decoding, Sampling
from litertlm.runtime.native_rewind import find_rewind, runtime_library
from litertlm.services.chat import LoadedModel, RunOptions, load_model
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from recorder import Recorder
from tiny import stateful
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS

GREEDY = Decoding(Sampling(1.0, top_k=1, top_p=1.0, seed=0), max_tokens=12)
BEGINNING = "<bos>" + "the quick brown fox jumps over the lazy dog. " * 3
ENDS = ("One", "Two and three", "One", "", "", "One or two", "One", "One")
TEXTS = [*(BEGINNING + end for end in ENDS), "<bos>x", BEGINNING[:40], BEGINNING[:20], BEGINNING]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """A float model whose sessions begin with `<bos>`."""
    home = tmp_path_factory.mktemp("restart")
    tiny = MODELS["llama-gqa-tied"]
    folder = write_checkpoint(tiny, home / "checkpoint", chat_template=template_text("gemma3"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<bos>"}))
    options = ConvertOptions(recipe="none", kv_cache_max_len=512)
    convert(folder, home / "tiny.litertlm", options, progress=Recorder())
    yield (
        loaded := load_model(
            "tiny", home / "tiny.litertlm", home, RunOptions(), progress=Recorder()
        )
    )
    loaded.engine.close()


def test_answers_are_those_of_a_new_session(model: LoadedModel) -> None:
    kept = model.engine.open_session(GREEDY)
    for number, text in enumerate(TEXTS):
        new = model.engine.open_session(GREEDY)
        expected = list(new.generate(text))
        new.close()
        assert number == 0 or kept.restart()
        assert list(kept.generate(text)) == expected, text
    kept.close()


def test_a_cancelled_session_can_be_restarted(model: LoadedModel) -> None:
    new = model.engine.open_session(GREEDY)
    expected = list(new.generate(TEXTS[1]))
    new.close()
    kept = model.engine.open_session(GREEDY)
    for _ in kept.generate(TEXTS[0]):
        kept.cancel()
        break
    assert kept.restart()
    assert list(kept.generate(TEXTS[1])) == expected
    kept.close()


def test_scores_are_those_of_a_new_session(model: LoadedModel) -> None:
    native = model.engine._native  # type: ignore[attr-defined]
    rewind = find_rewind(runtime_library())
    assert rewind is not None

    def score(*prompts: str) -> list[float]:
        """Of a text after the last prompt, in a session that had the other ones before."""
        with native.create_session(apply_prompt_template=False) as session:
            for number, prompt in enumerate(prompts):
                assert number == 0 or rewind(session)
                session.run_prefill([prompt.removeprefix("<bos>")])
            return list(session.run_text_scoring([" and then it sleeps"]).scores)

    for before, text in pairwise(BEGINNING + end for end in ("One", "Two", "Three four", "One")):
        assert score(before, text) == pytest.approx(score(text), abs=1e-4), (before, text)


def test_recurrent_states_are_not_restarted(tmp_path: Path) -> None:
    bundle = tmp_path / "stateful.litertlm"
    stateful.write_stateful_bundle(bundle, "dynamic", cache=128, prefill=(8, 32))
    assert not read_bundle_info(bundle).rewindable
    model = load_model("stateful", bundle, None, RunOptions(), progress=Recorder())
    session = model.engine.open_session(GREEDY)
    assert len(list(session.generate("the"))) > 0
    assert not session.restart()
    session.close()
    model.engine.close()


def test_a_library_without_the_function_has_the_fallback() -> None:
    assert find_rewind(None) is None
    assert find_rewind(object()) is None
