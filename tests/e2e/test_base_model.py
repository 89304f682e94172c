"""A checkpoint without a chat template continues the text that it is given, and `run` says so."""

from __future__ import annotations

import shutil
from pathlib import Path

from tokenizers import Tokenizer as HfTokenizer

from parity.golden import GREEDY_PROMPT, load_golden
from program import run_program
from tiny import MODELS, write_checkpoint

NAME = "llama-gqa-tied"
TOKENS = 12
NOTICE = "is a base model: it continues your text, and does not answer or chat."


def run_base(model: str | Path, home: Path, *more: str) -> tuple[str, str]:
    """What the model says after GREEDY_PROMPT, and stderr."""
    options = ("--quantize", "none", "--max-tokens", str(TOKENS), "--prompt", GREEDY_PROMPT)
    ended = run_program("run", model, *options, *more, home=home)
    assert ended.code == 0, ended.err
    return ended.out, ended.err


def test_base_model_continues_text_and_says_what_it_is(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS[NAME], tmp_path / "base", chat_template=None)
    answer, told = run_base(folder, tmp_path)
    tokenizer = HfTokenizer.from_file(str(folder / "tokenizer.json"))
    assert answer.rstrip("\n") == tokenizer.decode(load_golden(NAME).greedy[:TOKENS].tolist())
    assert f"local/base {NOTICE}" in told.splitlines()
    assert NOTICE not in run_base(folder, tmp_path, "--raw")[1], "who asks for it knows"


def test_instruct_model_of_the_catalog_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS[NAME], tmp_path / "base", chat_template=None)
    run_base(folder, tmp_path)
    models = tmp_path / "models"
    (models / "google" / "gemma-3-270m").mkdir(parents=True)
    shutil.copy(
        models / "local/base/base.litertlm", models / "google/gemma-3-270m/gemma-3-270m.litertlm"
    )
    _, told = run_base("google/gemma-3-270m", tmp_path)
    assert f"google/gemma-3-270m {NOTICE} To chat: litert-lm-cli run gemma-3-270m-it" in told


def test_model_with_a_template_is_no_base_model(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS[NAME], tmp_path / "chat")
    assert NOTICE not in run_base(folder, tmp_path)[1]
