"""The tiny checkpoints are what the goldens were made from, and what their formats say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from tokenizers import Tokenizer as HfTokenizer

from parity.golden import FOLDER, GREEDY_PROMPT, checkpoint_sha256, load_golden
from tiny import MODELS, tensor_shapes, write_checkpoint


@pytest.mark.parametrize("name", MODELS)
def test_checkpoint_is_the_one_the_golden_was_made_from(name: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    write_checkpoint(MODELS[name], tmp_path)
    assert checkpoint_sha256(tmp_path) == golden.checkpoint_sha256
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000_000
    assert len(set(golden.greedy.tolist())) > 4, "a continuation that never changes proves little"


@pytest.mark.parametrize("name", ["llama-llama3-f16-sharded", "qwen3-gqa-tied", "gemma3-vision"])
def test_safetensors_library_reads_every_tensor(name: str, tmp_path: Path) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(tmp_path.glob("*.safetensors")):
        with safe_open(file, framework="np") as tensors:
            for tensor in tensors.keys():  # noqa: SIM118  (safe_open is no mapping)
                shapes[tensor] = tuple(tensors.get_slice(tensor).get_shape())
    assert shapes == tensor_shapes(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_tokenizer_encodes_the_prompt_as_transformers_did(name: str, tmp_path: Path) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    tokenizer = HfTokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode(GREEDY_PROMPT).ids == load_golden(name).greedy_prompt.tolist()
    assert tokenizer.get_vocab_size() == MODELS[name].text_config["vocab_size"]


def test_every_golden_has_its_model_and_stays_small() -> None:
    files = list(FOLDER.glob("*.npz"))
    assert {file.stem for file in files} == set(MODELS)
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_index_names_the_shard_of_every_tensor(tmp_path: Path) -> None:
    model = MODELS["llama-llama3-f16-sharded"]
    write_checkpoint(model, tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(tensor_shapes(model))
    assert len(set(index["weight_map"].values())) == model.shards
    for tensor, file in index["weight_map"].items():
        with safe_open(tmp_path / file, framework="np") as tensors:
            assert tensors.get_tensor(tensor).dtype == np.float16
