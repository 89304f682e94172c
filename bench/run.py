"""Run every benchmark and write bench/RESULTS.md.

    python bench/run.py [--peers] [NAME...]

Each section of the results is one command and its output. With names, only those sections are
measured again and the others are kept. `--peers` adds comparisons that download gigabytes of
packages, and checkpoints from npm.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "RESULTS.md"

HEAD = """\
# Results

Written by `python bench/run.py --peers`. Each section is one command and its output.
Compare numbers only within a section: they are from one run on one machine. Ratios matter most.
"""

# Section -> title, command below bench/, and more arguments with --peers.
SECTIONS = {
    "convert": (
        "Conversion compared with pure I/O",
        "convert.py qwen3-0.6b qwen3-1.7b qwen3-4b gemma-3-270m gemma-3-1b",
        "",
    ),
    "convert-tokenizers": (
        "Conversion with the models' original tokenizers",
        "convert.py qwen3-0.6b gemma-3-270m",
        "--own-tokenizer",
    ),
    "convert-peers": (
        "Conversion compared with litert-torch",
        "convert.py qwen3-0.6b gemma-3-270m --runs 1",
        "--peers",
    ),
    "convert-large": (
        "Conversion of the shapes of LFM2.5-1.2B and Gemma 4 E2B",
        "convert.py lfm2.5-1.2b gemma-4-e2b",
        "",
    ),
    "convert-gemma-4-peers": (
        "Gemma 4 E2B with 3 of its 35 layers compared with litert-torch 0.10.0",
        "convert.py gemma-4-e2b-3-layers --runs 1",
        "--peers",
    ),
    "graph": ("The graph without weights", "graph.py qwen3-0.6b", ""),
    "recipes": ("Recipes on the demo model", "recipes.py", ""),
    "recipes-q4_0": ("Recipes on the demo model in Q4_0", "recipes.py --q4_0", ""),
    "speed": ("Speed compared with llama.cpp", "speed.py", "--peers"),
    "turns": ("Multi-turn chat compared with its complete history", "turns.py", ""),
    "oneshot": ("One answer, complete process", "oneshot.py", ""),
    "latency": ("Latency on a terminal", "latency.py", ""),
    "download": ("Download and conversion on a limited line", "download.py", ""),
    "per-layer-memory": (
        "Memory with a large table of embeddings for each layer",
        "per_layer_memory.py",
        "",
    ),
    "startup": ("Startup time", "startup.py", ""),
    "install": ("Size of the base install", "install_size.py ../.venv", ""),
}


def measure(name: str, peers: bool) -> str | None:
    """The text of a section, or None if it needs --peers."""
    title, command, extra = SECTIONS[name]
    if extra and not peers:
        return None
    line = f"{command} {extra}".strip()
    load = os.getloadavg()[0]  # of others: above 1, only ratios mean anything
    print(f"bench/{line}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, *line.split()],
        cwd=BENCH,
        env={**os.environ, "PYTHONPATH": str(BENCH.parent / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    output = done.stdout.strip()
    if done.returncode:
        output += f"\n\nExit code {done.returncode}: a limit was exceeded."
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    machine += f", load {load:.0f} before" if load >= 1 else ""
    return f"## {title}\n\n`python bench/{line}`  \n{date.today()}, {machine}\n\n{output}\n"


def sections(text: str) -> dict[str, str]:
    """The sections of a results file, by title."""
    found = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0]: "## " + part.strip() + "\n" for part in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    # install_size.py measures the launcher's environment.
    subprocess.run([BENCH.parent / "litert-lm-cli", "--version"], check=True)
    kept = sections(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in arguments.names or SECTIONS:
        text = measure(name, arguments.peers)
        if text is not None:
            kept[SECTIONS[name][0]] = text
        ordered = [kept[title] for title, _, _ in SECTIONS.values() if title in kept]
        RESULTS.write_text("\n".join([HEAD, *ordered]))


if __name__ == "__main__":
    main()
