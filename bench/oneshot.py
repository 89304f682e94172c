"""Time of one answer as a complete process, compared with `litert-lm run` on the same bundle.

    python bench/oneshot.py [--peer PATH/TO/litert-lm] [--rounds 15]

Both programs run alternately, with the demo model on disk, the same prompt and their own defaults.
Without `--peer`, litert-lm 0.18.1 is installed into a separate virtual environment first
(peers.py).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import environment

PEER = "litert-lm==0.18.1"
PROMPT = "What is the capital of Germany?"
EXPECTED = "Berlin"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="the litert-lm program")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        variables = {
            **os.environ,
            "HOME": folder,
            "LITERT_LM_MODELS": str(home / "models"),
            "NO_COLOR": "1",
        }
        ours = [sys.executable, "-m", "litertlm"]
        subprocess.run([*ours, "pull", "demo"], env=variables, check=True)
        (bundle,) = home.glob("models/demo/*/*.litertlm")
        peer = arguments.peer or environment("litert-lm", PEER).with_name("litert-lm")
        programs = {
            "litert-lm-cli run": [*ours, "run", "demo", "--prompt", PROMPT],
            f"litert-lm run ({PEER})": [str(peer), "run", str(bundle), "--prompt", PROMPT],
        }
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for number in range(arguments.rounds + 1):
            for name, command in programs.items():
                taken = run(command, variables)
                # The first run of each program creates its cache.
                if number:
                    seconds[name].append(taken)
    report(seconds)


def run(command: list[str], variables: dict[str, str]) -> float:
    """Run a program to its end, check its answer, and return the seconds."""
    began = time.perf_counter()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    taken = time.perf_counter() - began
    assert EXPECTED in done.stdout, done.stdout + done.stderr
    return taken


def report(seconds: dict[str, list[float]]) -> None:
    """The table, and the ratio of the medians."""
    print("| program | median s | fastest s |")
    print("|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {statistics.median(values):.3f} | {min(values):.3f} |")
    ours, theirs = seconds.values()
    print(f"\nratio of medians {statistics.median(ours) / statistics.median(theirs):.2f}")
    print(f"ratio of fastest {min(ours) / min(theirs):.2f}")


if __name__ == "__main__":
    main()
