"""Every recipe on the demo model: size, speed through the runtime, and distance from float32.

    python bench/recipes.py [--rounds 3]

Downloads the demo model, converts it with each recipe into a temporary folder, and prints one
table. Speeds are the best of the rounds, which the recipes take in turns; ratios to
`dynamic_int8` stand beside them. Distance is that of `verify`: the bundle's logits in the LiteRT
interpreter against float32 logits of the checkpoint on 240 tokens of prose.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tokenizers import Tokenizer  # noqa: E402

from litertlm.bundle import container  # noqa: E402
from litertlm.bundle.sample_texts import PROSE  # noqa: E402
from litertlm.checkpoint import open_checkpoint  # noqa: E402
from litertlm.quantize import RECIPES  # noqa: E402
from litertlm.runtime.interpreter import decode_logits  # noqa: E402
from litertlm.services.verify import quality  # noqa: E402

PROMPT_TOKENS, ANSWER_TOKENS = 128, 64

# A process of its own per measurement: loading, prefill of a prompt, decode.
_SPEED = f"""
import sys
import litert_lm
litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
engine = litert_lm.Engine(sys.argv[1], litert_lm.Backend.CPU(thread_count=2),
                          cache_dir=sys.argv[2], enable_benchmark=True, max_num_tokens=512)
text = engine.detokenize(engine.tokenize(sys.stdin.read())[:{PROMPT_TOKENS}])
session = engine.create_session(apply_prompt_template=False, max_output_tokens={ANSWER_TOKENS})
session.run_prefill([text])
for _ in session.run_decode_async():
    pass
info = session.get_benchmark_info()
print(info.last_prefill_tokens_per_second, info.last_decode_tokens_per_second)
session.close()
"""


def convert(recipe: str, models: Path) -> Path:
    """The bundle of a recipe."""
    command = [
        sys.executable, "-m", "litertlm", "--models-dir", str(models), "convert", "demo",
        "--quantize", recipe, "--output-dir", str(models / recipe), "--json", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return Path(json.loads(done.stdout)["path"])


def speed(bundle: Path) -> tuple[float, float]:
    """Prefill and decode, tokens per second."""
    cache = bundle.parent / "bench-cache"
    cache.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _SPEED, str(bundle), str(cache)],
        input=PROSE, check=True, capture_output=True, text=True,
    )  # fmt: skip
    prefill, decode = done.stdout.split()
    return float(prefill), float(decode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary)
        bundles = {recipe: convert(recipe, models) for recipe in RECIPES}
        checkpoint = open_checkpoint(next(models.rglob("*.gguf")))
        assert checkpoint.tokenizer.json is not None
        tokenizer = Tokenizer.from_str(checkpoint.tokenizer.json.decode())
        ids = tokenizer.encode(PROSE).ids[: quality.TOKENS]
        reference = quality.reference_logits(checkpoint, ids)
        best = dict.fromkeys(bundles, (0.0, 0.0))
        for _ in range(rounds):
            for recipe, bundle in bundles.items():
                prefill, decode = speed(bundle)
                best[recipe] = max(best[recipe][0], prefill), max(best[recipe][1], decode)
        print(
            "| recipe | bundle | prefill tok/s | decode tok/s | KL | mean abs | top-1 |\n"
            "| --- | --- | --- | --- | --- | --- | --- |"
        )
        base = best["dynamic_int8"]
        for recipe, bundle in bundles.items():
            model = models / "model.tflite"
            section = container.read_header(bundle).first(container.TFLITE_MODEL)
            assert section is not None
            model.write_bytes(container.read_section(bundle, section))
            found = quality.distance(reference, decode_logits(model, ids, threads=2), ids)
            prefill, decode = best[recipe]
            print(
                f"| `{recipe}` | {bundle.stat().st_size / 1e6:.0f} MB "
                f"| {prefill:.0f} ({prefill / base[0]:.2f}) "
                f"| {decode:.0f} ({decode / base[1]:.2f}) "
                f"| {found.kl:.2g} | {found.mean_abs:.2g} | {found.top1:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
