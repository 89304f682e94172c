"""What every conversion checks: prompts and token ids in the runtime, and two short answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from litertlm.bundle import tokenizer as bundle_tokenizer
from litertlm.errors import QualityCheckFailed
from litertlm.services.convert import conversion, plan
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.verify import behaviour
from program import PROGRAM, isolated_environment, run_program, workers
from recorder import Recorder
from stopping import Moment, Stop
from tiny import MODELS, write_checkpoint

TINY = MODELS["qwen3-gqa-tied"]


def warnings(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("!")]


def test_a_good_model_is_checked_without_a_word_of_warning(demo_gguf: Path, tmp_path: Path) -> None:
    ended = run_program("convert", demo_gguf, "--json", home=tmp_path)
    assert ended.code == 0, ended.err
    assert warnings(ended.err) == []
    checks = {check["name"]: check for check in json.loads(ended.out)["checks"]}
    assert {name: check["verdict"] for name, check in checks.items()} == dict.fromkeys(
        ("structure", "prompts", "tokens", "behaviour"), "passed"
    )
    assert checks["prompts"]["equal"] == checks["prompts"]["conversations"] > 50
    assert checks["tokens"]["equal"] == checks["tokens"]["texts"] == 300
    assert "Paris" in checks["behaviour"]["answers"][0]["answer"]
    cache = tmp_path / "models/local/SmolLM2-135M-Instruct.Q4_1/cache"
    (first,) = cache.iterdir()
    forced = run_program("convert", demo_gguf, "--force", home=tmp_path)
    assert forced.code == 0, forced.err
    (second,) = cache.iterdir()
    assert second.name != first.name, "that of the bundle before takes up no space"


def test_an_untrained_model_is_warned_of_and_kept(tmp_path: Path) -> None:
    write_checkpoint(TINY, tmp_path / "tiny")
    ended = run_program("convert", "tiny", home=tmp_path)
    assert ended.code == 0, ended.err
    (warning,) = warnings(ended.err)
    assert "The answer to 'What is the capital of France?' repeats itself: '" in warning
    assert warning.endswith("litert-lm-cli verify local/tiny")
    without = run_program("convert", "tiny", "--force", "--no-check", "--json", home=tmp_path)
    assert warnings(without.err) == []
    assert [c["name"] for c in json.loads(without.out)["checks"]] == [
        "structure", "prompts", "tokens",
    ]  # fmt: skip
    again = run_program("convert", "tiny", "--json", home=tmp_path)
    assert json.loads(again.out)["checks"] == [], "nothing was converted"


def test_a_model_that_is_slow_here_is_asked_less(
    demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle,) = demo_home.glob("models/demo/*/*.litertlm")
    # Both answers would take the demo model some seconds; its time is over with the first token.
    story = "Write a long story about a sailor, in at least ten paragraphs."
    monkeypatch.setattr(behaviour, "QUESTIONS", (story, story))
    monkeypatch.setattr(behaviour, "_SHORT_TOKENS", 700)
    monkeypatch.setattr(behaviour, "_SHORT_ANSWERS", 1e-6)
    check = behaviour.check_behaviour_briefly(bundle, None)
    (answer,) = check.values["answers"]
    assert 0 < len(answer["answer"].split()) < 200, "the answer was stopped long before its end"


def test_a_base_model_is_given_texts_to_go_on_with(tmp_path: Path) -> None:
    write_checkpoint(TINY, tmp_path / "base", chat_template=None)
    ended = run_program("convert", "base", "--output-dir", "out", home=tmp_path)
    assert ended.code == 0, ended.err
    (warning,) = warnings(ended.err)
    assert "The answer to 'The capital of France is' repeats itself" in warning
    assert warning.endswith("litert-lm-cli verify out/local/base/base.litertlm")
    files = [p.name for p in (tmp_path / "out/local/base").iterdir()]
    assert sorted(files) == ["base.json", "base.litertlm"], "no cache where the user wants a bundle"


def test_a_tokenizer_that_no_library_reads_is_a_damaged_checkpoint(tmp_path: Path) -> None:
    folder = write_checkpoint(TINY, tmp_path / "tiny")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"][3] = ["zz", "qq"]  # of tokens that are not in the vocabulary
    (folder / "tokenizer.json").write_text(json.dumps(content))
    ended = run_program("convert", "tiny", home=tmp_path)
    assert ended.code == 8, ended.err
    assert "Token `zz` out of vocabulary" in ended.err
    assert "rejected" not in ended.err
    assert not list((tmp_path / "models").glob("local/tiny/*"))


def test_a_bundle_with_other_token_ids_is_kept_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this program chose a tokenizer wrongly; the runtime and the comparison are real."""
    right = bundle_tokenizer.choose_tokenizer

    def wrong(tokenizer: bundle_tokenizer.Tokenizer) -> bundle_tokenizer.ChosenTokenizer:
        chosen = right(tokenizer)
        content = json.loads(chosen.data)
        content["model"]["merges"] = content["model"]["merges"][:40]
        return bundle_tokenizer.ChosenTokenizer(chosen.kind, json.dumps(content).encode(), "")

    monkeypatch.setattr(plan, "choose_tokenizer", wrong)
    folder = write_checkpoint(TINY, tmp_path / "tiny")
    target = tmp_path / "models/local/tiny/tiny.litertlm"
    with pytest.raises(QualityCheckFailed) as caught:
        conversion.convert(folder, target, ConvertOptions(), progress=Recorder())
    assert "The ids of 'Hello, how are you?' differ." in caught.value.why
    assert [path.name for path in target.parent.iterdir()] == ["tiny.litertlm.rejected"]
    assert "tiny.litertlm.rejected: failed its checks" in run_program("prune", home=tmp_path).err
    assert not (tmp_path / "models/local").exists()


def test_where_the_runtime_does_not_work_the_conversion_says_so_and_goes_on(
    tmp_path: Path,
) -> None:
    write_checkpoint(TINY, tmp_path / "tiny")
    place = tmp_path / "broken" / "litert_lm"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("raise ImportError('liblitert-lm.so: wrong ELF class')")
    path = isolated_environment(tmp_path)["PYTHONPATH"]
    ended = run_program(
        "convert", "tiny", home=tmp_path, PYTHONPATH=f"{place.parent}{os.pathsep}{path}"
    )
    assert ended.code == 0, ended.err
    prompts, answers = warnings(ended.err)
    assert prompts.startswith("! Not all prompts and token ids could be compared.")
    assert answers.startswith("! The answers were not checked:")
    assert "wrong ELF class" in prompts
    assert "wrong ELF class" in answers
    assert (tmp_path / "models/local/tiny/tiny.litertlm").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("module", ["texts", "answers"])
def test_no_process_is_left_however_the_conversion_ends(
    number: signal.Signals, module: str, tmp_path: Path
) -> None:
    write_checkpoint(TINY, tmp_path / "tiny")
    (tmp_path / "tmp").mkdir()
    # The process that asks the runtime waits before it has loaded it.
    stop = Stop(
        Moment("import", "litert_lm", process=f"litertlm.services.worker.{module}"), tmp_path
    )
    process = subprocess.Popen(
        [*PROGRAM, "convert", "tiny"],
        env=isolated_environment(tmp_path, TMPDIR=str(tmp_path / "tmp"), **stop.environment),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    bundle = tmp_path / "models/local/tiny/tiny.litertlm"
    stop.wait(process)
    assert workers(tmp_path)
    assert list((tmp_path / "tmp").iterdir())
    assert bundle.exists() == (module == "answers")
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    # After SIGKILL they find out by themselves.
    for _ in range(1000):
        if not workers(tmp_path) and not list((tmp_path / "tmp").iterdir()):
            break
        time.sleep(0.01)
    assert workers(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []
