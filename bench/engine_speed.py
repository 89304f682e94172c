"""Tokens per second of a bundle, as measured by the runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ANSWER_TOKENS = 64

# Run in a separate process for each measurement: load, prefill, decode.
_PROGRAM = f"""
import sys
import litert_lm
litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
bundle, cache, prompt_tokens, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
engine = litert_lm.Engine(bundle, litert_lm.Backend.CPU(thread_count=threads), cache_dir=cache,
                          enable_benchmark=True, max_num_tokens=prompt_tokens + 384)
text = engine.detokenize(engine.tokenize(sys.stdin.read())[:prompt_tokens])
session = engine.create_session(apply_prompt_template=False, max_output_tokens={ANSWER_TOKENS})
session.run_prefill([text])
for _ in session.run_decode_async():
    pass
info = session.get_benchmark_info()
print(info.last_prefill_tokens_per_second, info.last_decode_tokens_per_second)
session.close()
"""


def speed(bundle: Path, text: str, prompt_tokens: int) -> tuple[float, float]:
    """Prefill of the first tokens of `text` and decode of ANSWER_TOKENS, tokens per second."""
    cache = bundle.parent / "bench-cache"
    cache.mkdir(exist_ok=True)
    numbers = map(str, (prompt_tokens, os.cpu_count() or 1))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(bundle), str(cache), *numbers],
        input=text, check=True, capture_output=True, text=True,
    )  # fmt: skip
    prefill, decode = done.stdout.split()
    return float(prefill), float(decode)
