"""Make the goldens of tied models that store another head, or compare; as make_goldens.py."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from parity.golden import DECODED, HEAD_FILE, HEAD_PROMPT, golden_tokens
from tiny import MODELS
from tiny.other_head import STORED_HEAD, write_with_head

TOLERANCE = 2e-5  # of the largest logit


def head_logits(name: str, folder: Path) -> NDArray[np.float32]:
    """Logits `[DECODED + 1, vocab]` after the prompt and after each decoded token."""
    write_with_head(name, folder, equal=False)
    auto = (
        transformers.AutoModelForImageTextToText
        if "text_config" in MODELS[name].config
        else transformers.AutoModelForCausalLM
    )
    model = auto.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = golden_tokens(MODELS[name])[: HEAD_PROMPT + DECODED]
    with torch.no_grad():
        logits = model(torch.tensor(tokens[None]).long()).logits[0].numpy()
    return logits[HEAD_PROMPT - 1 :]


def main() -> int:
    """Write or check all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    made: dict[str, NDArray[np.float32]] = {}
    for name in STORED_HEAD:
        with tempfile.TemporaryDirectory() as folder:
            made[name] = head_logits(name, Path(folder))
    if not check:
        np.savez_compressed(HEAD_FILE, **made)
        print(f"{len(made)} heads written")
        return 0
    failed = False
    with np.load(HEAD_FILE) as stored:
        for name, logits in made.items():
            error = float(np.abs(stored[name] - logits).max() / np.abs(logits).max())
            failed |= not error <= TOLERANCE
            print(f"head {name:31} {'same' if error <= TOLERANCE else f'differs by {error:.1e}'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
