"""Compare converted GGUF files with llama.cpp itself: the next token's distribution.

    PYTHONPATH=src:tests python -m parity.compare_llama_cpp [NAME...]

Not a test, as llama.cpp is not among the pinned packages. For each tiny model that is tested as a
GGUF file, the file is run by llama.cpp (package xllamacpp, which has it compiled: pip install
xllamacpp) and, converted with the recipe `none`, by the LiteRT interpreter. Prints the largest
difference of a log-probability. What llama.cpp computes otherwise than transformers by design is
changed before, or named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bundle import Decoder, convert_folder
from parity.golden import golden_tokens
from tiny import MODELS
from tiny.gguf_file import GGUF_CASES, write_gguf

TOKENS = 40
# llama.cpp has GELU in a table of float16.
TOLERANCE = 0.01
# Families in which it has no windows, whatever the file says.
WITHOUT_WINDOWS = ("mistral-", "ministral3-", "phi3-")
DIFFERENT = {
    "exaone4-types-head-dim": "it takes heads to be as wide as the hidden size",
    "nemotron-bias-partial-untied": "it takes heads to be as wide as the hidden size",
    "gemma3n_text-sparse-shared": "it takes 256 embeddings for each layer",
    "olmo2-bias-linear-tied": "it needs a head",
    "olmo3-yarn-pattern": "it computes the attention factor of YaRN, which the file has, too",
    "phi3-partial-longrope-tied": "it takes the long factors, by the context of the engine",
}
# In a process of its own, since llama.cpp ends the process on some errors.
_PROGRAM = """
import json, sys
import xllamacpp as x
path, tokens, vocab = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
p = x.CommonParams()
p.model.path = path
p.n_ctx, p.n_parallel, p.n_gpu_layers, p.warmup = 256, 1, 0, False
p.cache_type_k = p.cache_type_v = x.ggml_type.GGML_TYPE_F32
p.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED  # float16
answer = x.Server(p).handle_completions(
    {"prompt": tokens, "n_predict": 1, "n_probs": vocab, "temperature": 0.0})
print("\\n" + json.dumps(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]))
"""


def llama_cpp(file: Path, tokens: Sequence[int], vocab: int) -> dict[int, float] | None:
    """The log-probability of each token that may come next; None if the file is not loaded."""
    command = [sys.executable, "-c", _PROGRAM, str(file), json.dumps(tokens), str(vocab)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("[{"):
            return {entry["id"]: entry["logprob"] for entry in json.loads(line)}
    if "No module named 'xllamacpp'" in done.stderr:
        raise SystemExit("xllamacpp is not installed; see --help.")
    return None


def log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of one row of logits."""
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def difference(name: str, changes: Mapping[str, Any], folder: Path) -> float | None:
    """The largest difference of a log-probability; None if llama.cpp does not load the file."""
    if name.startswith(WITHOUT_WINDOWS):
        changes = {**changes, "sliding_window": None}
    model = replace(MODELS[name], config={**MODELS[name].config, **changes}, dtype="F32")
    file = write_gguf(model, folder / f"{name}.gguf")
    tokens = golden_tokens(model)[:TOKENS]
    ours = log_probabilities(Decoder(convert_folder(file)).logits(tokens, TOKENS)[-1])
    theirs = llama_cpp(file, tokens.tolist(), len(ours))
    if theirs is None:
        return None
    return max(abs(value - float(ours[token])) for token, value in theirs.items())


def main() -> int:
    """Print one line for each model; 1 if one differs and is not known to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        for name, changes in GGUF_CASES:
            if names and name not in names:
                continue
            found = difference(name, changes, Path(temporary))
            known = DIFFERENT.get(name)
            failed |= known is None and (found is None or found > TOLERANCE)
            shown = "not loaded" if found is None else f"{found:.5f}"
            print(f"{name:40} {shown}" + (f"  ({known})" if known else ""), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
