"""Tokens per second compared with llama.cpp, on the same model in one run.

    python bench/speed.py --peers [--rounds 3]

Compares the demo model's GGUF file (Q4_1, and requantized to Q8_0) in llama.cpp (llama-cpp-python
0.3.16, compiled in a separate environment) with our bundle of it in LiteRT-LM, which is about as
large as Q8_0. For each prompt length, the prompt is prefilled and 64 tokens are decoded on all
cores. Speeds are reported by the programs themselves, the best of several interleaved rounds.
Ratios are relative to llama.cpp with Q8_0.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peers
from demo import convert
from engine_speed import ANSWER_TOKENS, speed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from litertlm.bundle.probe_texts import PROSE

PROMPTS = (32, 128, 512, 1000)  # tokens
TEXT = " ".join([PROSE] * 8)

_REQUANTIZE = """
import ctypes, sys
import llama_cpp
options = llama_cpp.llama_model_quantize_default_params()
options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
options.allow_requantize = True
source, target = (name.encode() for name in sys.argv[1:])
sys.exit(llama_cpp.llama_model_quantize(source, target, ctypes.byref(options)))
"""

_LLAMA_CPP = f"""
import sys
import llama_cpp
path, prompt_tokens, threads, text = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
model = llama_cpp.Llama(path, n_ctx=prompt_tokens + 384, n_batch=512, n_threads=threads,
                        n_threads_batch=threads, verbose=False)
tokens = model.tokenize(text.encode(), add_bos=False)[:prompt_tokens]
model.eval(tokens[:2])  # the first call sets things up
model.reset()
llama_cpp.llama_kv_self_clear(model.ctx)
llama_cpp.llama_perf_context_reset(model.ctx)
model.eval(tokens)
for _ in range({ANSWER_TOKENS}):
    model.eval([model.sample(temp=0.0)])
perf = llama_cpp.llama_perf_context(model.ctx)
print(1e3 * perf.n_p_eval / perf.t_p_eval_ms, 1e3 * perf.n_eval / perf.t_eval_ms)
"""

Measure = Callable[[int], tuple[float, float]]


def llama_cpp_speed(model: Path, prompt_tokens: int) -> tuple[float, float]:
    """Prefill and decode, tokens per second."""
    numbers = map(str, (prompt_tokens, os.cpu_count() or 1))
    prefill, decode = peers.llama_cpp(_LLAMA_CPP, str(model), *numbers, TEXT).split()
    return float(prefill), float(decode)


def bundle_speed(bundle: Path, prompt_tokens: int) -> tuple[float, float]:
    """Prefill and decode, tokens per second."""
    return speed(bundle, TEXT, prompt_tokens)


def programs(folder: Path) -> dict[str, tuple[Path, Measure]]:
    """The model files and their measuring functions; the first one is the reference."""
    bundle = convert("dynamic_int8", folder)
    gguf = next(folder.rglob("*.gguf"))
    larger = folder / "Q8_0.gguf"
    peers.llama_cpp(_REQUANTIZE, str(gguf), str(larger))
    return {
        "llama.cpp, Q8_0": (larger, partial(llama_cpp_speed, larger)),
        "llama.cpp, Q4_1": (gguf, partial(llama_cpp_speed, gguf)),
        "litert-lm-cli, dynamic_int8": (bundle, partial(bundle_speed, bundle)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", required=True)
    arguments = parser.parse_args()
    print("| program, recipe | file | prompt tokens | prefill tok/s | decode tok/s |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        measured = programs(Path(temporary))
        for tokens in PROMPTS:
            best = dict.fromkeys(measured, (0.0, 0.0))
            for _ in range(arguments.rounds):
                for name, (_, measure) in measured.items():
                    prefill, decode = measure(tokens)
                    best[name] = max(best[name][0], prefill), max(best[name][1], decode)
            base = next(iter(best.values()))
            for name, (path, _) in measured.items():
                prefill, decode = best[name]
                print(
                    f"| {name} | {path.stat().st_size / 1e6:.0f} MB | {tokens} "
                    f"| {prefill:.0f} ({prefill / base[0]:.2f}) "
                    f"| {decode:.0f} ({decode / base[1]:.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
