"""The same checkpoint, options and version give the same bytes, wherever and whenever."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fidelity import gemma_like
from program import run_program
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS


@pytest.mark.parametrize(("recipe", "shapes"), [("none", "static"), ("dynamic_int8", "dynamic")])
def test_same_bytes_in_other_places(recipe: str, shapes: str, tmp_path: Path) -> None:
    hashes = set()
    surroundings: tuple[dict[str, str], ...] = (
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "4242", "TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "LANG": "de_DE"},
        {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", "PYTHONUTF8": "1", "LANGUAGE": "ja"},
    )
    for number, environment in enumerate(surroundings):
        home = tmp_path / f"home {number}" / ("ü" * number + "x")
        source = home / f"model-{number}"
        write_checkpoint(gemma_like.with_vocabulary(MODELS["qwen3-gqa-tied"]), source)
        gemma_like.write_tokenizer(source)
        arguments = ("--quantize", recipe, "--shapes", shapes, "--no-check")
        ended = run_program("convert", source, *arguments, home=home, **environment)
        assert ended.code == 0, ended.err
        (bundle,) = (home / "models").glob("local/*/*.litertlm")
        hashes.add(hashlib.sha256(bundle.read_bytes()).hexdigest())
    assert len(hashes) == 1
