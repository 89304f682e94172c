"""Memory of a running Gemma 4 whose table of embeddings for each layer has 10 MB and 1 GB.

    python bench/per_layer_memory.py [--quantize RECIPE]

Two random checkpoints that differ in the rows of this table alone are converted and run by the
runtime, each in a process of its own. Anonymous memory is what the system cannot take back; mapped
pages of the file are those that were read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkpoints import write_random_checkpoint

ROOT = Path(__file__).resolve().parent.parent
LAYERS, SIZE = 16, 256
ROWS = {"10 MB": 2560, "1 GB": 262144}  # of LAYERS * SIZE int8 values
CONFIG: dict[str, Any] = {
    "model_type": "gemma4_text", "vocab_size": 26, "hidden_size": 256, "intermediate_size": 512,
    "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 1,
    "head_dim": 64, "global_head_dim": 128, "hidden_size_per_layer_input": SIZE,
    "num_kv_shared_layers": 6, "sliding_window": 512, "rms_norm_eps": 1e-6, "eos_token_id": 25,
}  # fmt: skip

# Prefill and decode, then what /proc says of the process.
_PROGRAM = """
import re, sys
import litert_lm
litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
engine = litert_lm.Engine(sys.argv[1], litert_lm.Backend.CPU(thread_count=2), cache_dir=sys.argv[2],
                          max_num_tokens=1024)
session = engine.create_session(apply_prompt_template=False, max_output_tokens=64)
session.run_prefill([" ".join("abcdefghijklmnopqrstuvwxyz" * 16)])
tokens = sum(1 for _ in session.run_decode_async())
status = open("/proc/self/status").read()
sizes = [int(re.search(name + r":\\s+(\\d+)", status)[1]) // 1024
         for name in ("VmHWM", "RssAnon", "RssFile")]
print(tokens, *sizes)
session.close()
"""


def convert(source: Path, recipe: str, output: Path) -> Path:
    """Convert a checkpoint; the program prints JSON."""
    command = [
        sys.executable, "-m", "litertlm", "convert", str(source), "--quantize", recipe,
        "--output-dir", str(output), "--json", "--quiet", "--no-check",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Path(json.loads(done.stdout)["path"])


def main() -> int:
    """Print one line for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quantize", default="dynamic_int8")
    recipe = parser.parse_args().quantize
    print(f"recipe {recipe}; MB\n")
    print("| table | bundle | load | tokens | peak | anonymous | mapped |")
    print("|---|---|---|---|---|---|---|")
    for table, rows in ROWS.items():
        with tempfile.TemporaryDirectory() as work:
            source = Path(work) / "model"
            config = {**CONFIG, "vocab_size_per_layer_input": rows}
            write_random_checkpoint(source, config, seed=1)
            bundle = convert(source, recipe, Path(work) / "out")
            for load in ("first", "second"):
                command = [sys.executable, "-c", _PROGRAM, str(bundle), work]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                size = bundle.stat().st_size // 1_000_000
                numbers = " | ".join(done.stdout.split())
                print(f"| {table} | {size} | {load} | {numbers} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
