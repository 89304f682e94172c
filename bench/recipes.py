"""All recipes on the demo model: size, speed in the runtime, and difference from float32.

    python bench/recipes.py [--rounds 3] [--q4_0]

Downloads the demo model, converts it with each recipe into a temporary folder, and prints one
table. Speeds are the best of several interleaved rounds, with the ratio to `dynamic_int8`. The
difference is measured as in `verify`: the bundle's logits in the LiteRT interpreter, compared with
float32 logits of the checkpoint on 240 tokens of prose.

With `--q4_0`, the linear layers of the demo model are first quantized to Q4_0, as a QAT checkpoint
has them; differences are from this model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from demo import convert, write_q4_0  # noqa: E402
from engine_speed import speed  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from litertlm.bundle.probe_texts import PROSE  # noqa: E402
from litertlm.bundle_format.constants import TFLITE_MODEL  # noqa: E402
from litertlm.bundle_format.header import read_header, read_section  # noqa: E402
from litertlm.checkpoint import open_checkpoint  # noqa: E402
from litertlm.quantize import RECIPES  # noqa: E402
from litertlm.runtime.interpreter import decode_logits  # noqa: E402
from litertlm.services.verify import quality  # noqa: E402

PROMPT_TOKENS = 128
HEAD = """\
| recipe | bundle | prefill tok/s | decode tok/s | KL | mean abs | top-1 |
| --- | --- | --- | --- | --- | --- | --- |"""


def measure(checkpoint: Path, bundles: dict[str, Path], rounds: int) -> None:
    """Print the table of the bundles of one GGUF file, by recipe."""
    opened = open_checkpoint(checkpoint)
    assert opened.tokenizer.json is not None
    tokenizer = Tokenizer.from_str(opened.tokenizer.json.decode())
    ids = tokenizer.encode(PROSE).ids[: quality.TOKENS]
    reference = quality.reference_logits(opened, ids)
    best = dict.fromkeys(bundles, (0.0, 0.0))
    for _ in range(rounds):
        for recipe, bundle in bundles.items():
            prefill, decode = speed(bundle, PROSE, PROMPT_TOKENS)
            best[recipe] = max(best[recipe][0], prefill), max(best[recipe][1], decode)
    print(HEAD)
    base = best["dynamic_int8"]
    for recipe, bundle in bundles.items():
        model = bundle.with_name("model.tflite")
        section = read_header(bundle).first(TFLITE_MODEL)
        assert section is not None
        model.write_bytes(read_section(bundle, section))
        found = quality.distance(reference, decode_logits(model, ids, threads=2), ids)
        prefill, decode = best[recipe]
        print(
            f"| `{recipe}` | {bundle.stat().st_size / 1e6:.0f} MB "
            f"| {prefill:.0f} ({prefill / base[0]:.2f}) "
            f"| {decode:.0f} ({decode / base[1]:.2f}) "
            f"| {found.kl:.2g} | {found.mean_abs:.2g} | {found.top1:.0%} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--q4_0", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary)
        bundles = {}
        if arguments.q4_0:
            convert("dynamic_int8", models)  # which downloads it
            source = write_q4_0(next(models.rglob("*.gguf")), models / "q4_0.gguf")
            recipes = ("dynamic_int8", "dynamic_int4")
            bundles = {recipe: convert(recipe, models, str(source)) for recipe in recipes}
        else:
            bundles = {recipe: convert(recipe, models) for recipe in RECIPES}
            source = next(models.rglob("*.gguf"))
        measure(source, bundles, arguments.rounds)


if __name__ == "__main__":
    main()
