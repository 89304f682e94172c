"""Goldens: what float32 transformers computes from one tiny checkpoint.

One `.npz` for each model of tiny.MODELS, written by make_goldens.py.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiny import TinyModel
from tiny.tokenizer import BOS, SPECIAL, VOCAB_SIZE

FOLDER = Path(__file__).parent / "goldens"

# Lengths of prompts: one token, around a prefill signature of 8, and beyond the sliding windows.
# After each prompt, decoding is compared for DECODED more tokens of the same text.
PROMPT_LENGTHS = (1, 7, 8, 33, 70)
DECODED = 3
POSITIONS = tuple(sorted({n - 1 + i for n in PROMPT_LENGTHS for i in range(DECODED + 1)}))
LORA_FILE = Path(__file__).parent / "lora_goldens.npz"  # by make_lora_goldens.py
LORA_PROMPT = 33  # tokens
HEAD_FILE = Path(__file__).parent / "head_goldens.npz"  # by make_head_goldens.py
HEAD_PROMPT = 7  # tokens
GREEDY_PROMPT = "What is the capital of the valley? The river"


@dataclass(frozen=True)
class Golden:
    """What the model makes of a fixed text, and how it goes on after GREEDY_PROMPT.

    Attributes:
        checkpoint_sha256: of the checkpoint's files, so that a changed maker is noticed.
        tokens: int32 `[text]`, the text; a prompt of length n is its first n tokens.
        logits: float32 `[len(POSITIONS), vocab]`, after the token at each of POSITIONS.
        greedy_prompt: int32, GREEDY_PROMPT encoded by the tokenizer (with BOS if it adds one).
        greedy: int32 `[40]`, the greedy continuation, stop tokens ignored.
    """

    checkpoint_sha256: str
    tokens: NDArray[np.int32]
    logits: NDArray[np.float32]
    greedy_prompt: NDArray[np.int32]
    greedy: NDArray[np.int32]

    def save(self, name: str) -> None:
        """Write `goldens/<name>.npz`."""
        np.savez_compressed(FOLDER / f"{name}.npz", **vars(self))

    def after(self, position: int) -> NDArray[np.float32]:
        """Logits `[vocab]` after `tokens[: position + 1]`."""
        row: NDArray[np.float32] = self.logits[POSITIONS.index(position)]
        return row


def load_golden(name: str) -> Golden:
    """Read `goldens/<name>.npz`."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return Golden(
            checkpoint_sha256=str(arrays["checkpoint_sha256"]),
            tokens=arrays["tokens"],
            logits=arrays["logits"],
            greedy_prompt=arrays["greedy_prompt"],
            greedy=arrays["greedy"],
        )


def golden_tokens(model: TinyModel) -> NDArray[np.int32]:
    """A text of random tokens that is long enough for every prompt and its decoding."""
    random = np.random.RandomState(zlib.crc32(model.name.encode()))
    tokens = random.randint(len(SPECIAL), VOCAB_SIZE, POSITIONS[-1] + 1).astype(np.int32)
    if model.adds_bos:
        tokens[0] = BOS
    return tokens


def checkpoint_sha256(folder: Path) -> str:
    """Of the names and bytes of all files, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
