"""Make the goldens of tied models that store another head, or compare; as make_goldens.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from parity.golden import DECODED, HEAD_FILE, HEAD_PROMPT, golden_tokens
from parity.logits_file import write_or_check
from tiny import MODELS
from tiny.other_head import STORED_HEAD, write_with_head


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
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    def logits(name: str) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as folder:
            return head_logits(name, Path(folder))

    return write_or_check(__doc__.splitlines()[0], HEAD_FILE, "head", STORED_HEAD, logits)


if __name__ == "__main__":
    sys.exit(main())
