"""Make the goldens, or compare them with what transformers computes here and now.

    PYTHONPATH=src:tests python tests/parity/make_goldens.py [NAME ...]   write the goldens
    ... --check [NAME ...]                                                compare with them

Runs where torch and transformers are installed (`make parity`); no other test needs them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from parity.golden import (
    GREEDY_PROMPT,
    POSITIONS,
    Golden,
    checkpoint_sha256,
    golden_tokens,
    load_golden,
)
from tiny import MODELS, TinyModel, write_checkpoint

GREEDY_TOKENS = 40
# A greedy step must be won by this much of the logits' spread, or rounding decides it.
GREEDY_MARGIN = 1e-4
# Of the largest logit; torch rounds differently on different processors.
TOLERANCE = 2e-5


def make_golden(model: TinyModel, folder: Path) -> Golden:
    """Write the checkpoint, load it as float32 with eager attention and run it."""
    write_checkpoint(model, folder)
    torch_model = _load(model, folder)
    tokens = golden_tokens(model)
    with torch.no_grad():
        logits = torch_model(torch.tensor(tokens[None]).long()).logits[0].numpy()
    prompt = transformers.AutoTokenizer.from_pretrained(folder)(GREEDY_PROMPT)["input_ids"]
    return Golden(
        checkpoint_sha256=checkpoint_sha256(folder),
        tokens=tokens,
        logits=logits[list(POSITIONS)],
        greedy_prompt=np.array(prompt, np.int32),
        greedy=_greedy(model.name, torch_model, prompt),
    )


def _load(model: TinyModel, folder: Path) -> Any:
    multimodal = "text_config" in model.config
    auto = transformers.AutoModelForImageTextToText if multimodal else None
    torch_model, report = (auto or transformers.AutoModelForCausalLM).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if problems := {key: names for key, names in report.items() if names}:
        raise SystemExit(f"{model.name}: transformers reports {problems}")
    return torch_model.eval()


def _greedy(name: str, torch_model: Any, prompt: list[int]) -> NDArray[np.int32]:
    """Prefill, then decode token by token with transformers' own cache."""
    tokens: list[int] = []
    ids, cache = torch.tensor([prompt]), None
    for step in range(GREEDY_TOKENS):
        with torch.no_grad():
            out = torch_model(ids, past_key_values=cache, use_cache=True)
        logits, cache = out.logits[0, -1], out.past_key_values
        first, second = torch.topk(logits, 2).values.tolist()
        if first - second < GREEDY_MARGIN * float(logits.std()):
            raise SystemExit(f"{name}: greedy step {step} is a draw; change the configuration")
        tokens.append(int(logits.argmax()))
        ids = torch.tensor([tokens[-1:]])
    return np.array(tokens, np.int32)


def differences(stored: Golden, made: Golden) -> list[str]:
    """What differs, in words; empty when nothing does."""
    found = [
        f"{field} differs"
        for field in ("checkpoint_sha256", "tokens", "greedy_prompt", "greedy")
        if not np.array_equal(getattr(stored, field), getattr(made, field))
    ]
    error = float(np.abs(stored.logits - made.logits).max() / np.abs(stored.logits).max())
    if not error <= TOLERANCE:
        found.append(f"logits differ by {error:.1e} of the largest")
    return found


def main() -> int:
    """Write or check the goldens of the named models (default: all)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    failed = False
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            made = make_golden(MODELS[name], Path(folder))
        found = differences(load_golden(name), made) if args.check else []
        if not args.check:
            made.save(name)
        failed |= bool(found)
        print(f"{name:36} {'; '.join(found) or ('same' if args.check else 'written')}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
