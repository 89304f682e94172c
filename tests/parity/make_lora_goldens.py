"""Make the goldens of the tiny LoRA adapters with PEFT, or compare with them; as make_goldens.py.

The logits are those of the adapter running beside its base, which is how it was trained: merging
in PEFT itself changes both of a tied embedding and head where the adapter changes one.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file

from parity.golden import DECODED, LORA_FILE, LORA_PROMPT, golden_tokens
from parity.logits_file import write_or_check
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, TinyAdapter, write_adapter


def adapter_logits(adapter: TinyAdapter, folder: Path) -> NDArray[np.float32]:
    """Logits `[DECODED + 1, vocab]` after the prompt and after each decoded token."""
    base = write_checkpoint(MODELS[adapter.base], folder / "base")
    path = write_adapter(adapter, folder / "adapter", base)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    adapted = peft.PeftModel.from_pretrained(model, path).eval()
    _check_loaded(adapted, path)
    tokens = golden_tokens(MODELS[adapter.base])[: LORA_PROMPT + DECODED]
    with torch.no_grad():
        logits = adapted(torch.tensor(tokens[None]).long()).logits[0].numpy()
    return logits[LORA_PROMPT - 1 :]


def _check_loaded(adapted: peft.PeftModel, path: Path) -> None:
    """PEFT passes over tensors that it does not know: every one must be in the model."""
    stored = load_file(path / "adapter_model.safetensors")
    loaded = list(adapted.state_dict().values())
    for name, tensor in stored.items():
        if not any(torch.equal(value, tensor.float()) for value in loaded):
            raise SystemExit(f"{path}: PEFT did not load {name}")


def main() -> int:
    """Write or check all of them."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module="peft")

    def logits(name: str) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as folder:
            return adapter_logits(ADAPTERS[name], Path(folder))

    return write_or_check(__doc__.splitlines()[0], LORA_FILE, "lora", ADAPTERS, logits)


if __name__ == "__main__":
    sys.exit(main())
