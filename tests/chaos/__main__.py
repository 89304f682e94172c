"""Kill and starve the program, and count what happens.

    PYTHONPATH=src:tests python -m chaos all --kills 1000 --seed 1 --json FILE

The exit code is 1 when something was wrong. A problem in the JSON names what was done.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.program_fork import World, load, run, set_up
from chaos.scenarios import (
    BUNDLE_REPO,
    CHECKPOINT_REPO,
    LOCAL,
    RECIPES,
    Stock,
    litter,
    scenarios,
    sha256,
)
from tiny import MODELS, write_checkpoint

_MODEL = "llama-llama3-f16-sharded"


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """The tests' Hub server, in a process of its own."""
    server = Path(__file__).parents[1] / "hub" / "server.py"
    with subprocess.Popen(
        [sys.executable, str(server), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # connections that end with a killed run
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().partition("=")[2]
        finally:
            process.kill()


@contextmanager
def prepared(folder: Path) -> Iterator[Stock]:
    """The Hub, the checkpoints and what undisturbed runs make of them, below `folder`."""
    served = folder / "hub"
    write_checkpoint(MODELS[_MODEL], served / CHECKPOINT_REPO)
    with hub(served) as address:
        world = set_up(folder / "home", HF_ENDPOINT=address)
        checkpoint = write_checkpoint(MODELS[_MODEL], world.home / "checkpoint")
        stock = Stock(world, checkpoint, folder / "folders")
        _undisturbed(stock, world, served)
        yield stock


def _undisturbed(stock: Stock, world: World, served: Path) -> None:
    def made(model: str, recipe: str) -> None:
        bundle = stock.bundle(model)
        assert bundle is not None
        stock.right[model, recipe] = sha256(bundle)

    ended = load(world, "pull", CHECKPOINT_REPO)
    assert ended.code == 0, ended.err
    made(CHECKPOINT_REPO, RECIPES[0])
    bundle = stock.bundle(CHECKPOINT_REPO)
    assert bundle is not None
    ready = served / BUNDLE_REPO / "ready.litertlm"
    ready.parent.mkdir(parents=True)
    ready.write_bytes(bundle.read_bytes())
    litter(stock)
    stock.keep("littered")
    stock.put(None)
    ended = run(world, "pull", BUNDLE_REPO)
    assert ended.code == 0, ended.err
    made(BUNDLE_REPO, RECIPES[0])
    stock.put(None)
    for recipe in RECIPES:
        ended = run(
            world,
            "convert",
            str(stock.checkpoint),
            "--force",
            "--no-check",
            "--quantize",
            recipe,
        )
        assert ended.code == 0, ended.err
        made(LOCAL, recipe)
    stock.keep("converted")


def _kills(stock: Stock, arguments: argparse.Namespace) -> dict[str, Any]:
    from chaos.kills import Counts, kill_many

    began = shown = time.monotonic()

    def report(counts: Counts) -> None:
        nonlocal shown
        if time.monotonic() - shown > 20:
            shown = time.monotonic()
            print(f"{counts.total} kills, {len(counts.problems)} problems", file=sys.stderr)

    everything = scenarios(stock)
    counts = kill_many(stock, everything, kills=arguments.kills, seed=arguments.seed, report=report)
    rows = [
        {
            "scenario": s.name,
            "stage": stage,
            **{f"processes_{n}": counts.kills[s.name, stage, n] for n in (1, 2, 3)},
            "kills": counts.at(s.name, stage),
        }
        for s in everything
        for stage in s.stages
    ]
    seconds = time.monotonic() - began
    print(f"{'':16}{'stage':16}{'1':>6}{'2':>6}{'3':>6}{'all':>7}   processes at once")
    for row in rows:
        numbers = [row[f"processes_{n}"] for n in (1, 2, 3)]
        print(
            f"{row['scenario']:16}{row['stage']:16}"
            + "".join(f"{n:6}" for n in numbers)
            + f"{row['kills']:7}"
        )
    print(
        f"{counts.total} kills and {counts.reruns} reruns in {seconds:.0f} s (seed "
        f"{arguments.seed}): {len(counts.problems)} problems. {counts.missed} runs ended before "
        f"their kill. {counts.empty_folders} temporary folders were left."
    )
    for problem in counts.problems[:20]:
        print(f"round {problem['round']}, {problem['scenario']}: {problem['problem']}")
    return {
        "seed": arguments.seed,
        "kills": counts.total,
        "reruns": counts.reruns,
        "missed": counts.missed,
        "temporary_folders": counts.empty_folders,
        "seconds": round(seconds),
        "stages": rows,
        "problems": counts.problems,
    }


def _faults(stock: Stock, arguments: argparse.Namespace) -> dict[str, Any]:
    from chaos.faults import FaultCounts, fail_bundle_reads, fail_reads, fill_disk

    counts, began = FaultCounts(), time.monotonic()

    def chosen(name: str) -> Iterable[int]:
        return range(0, 1 << 20, arguments.every)

    fill_disk(stock, counts, chosen)
    fail_reads(stock, counts, chosen)
    fail_bundle_reads(stock, counts, chosen)
    print(f"{'':28}{'operation':12}{'exit code':>10}{'runs':>6}")
    for (name, kind, code), number in sorted(counts.outcomes.items()):
        print(f"{name:28}{kind:12}{code:10}{number:6}")
    print(
        f"{counts.total} faults in {time.monotonic() - began:.0f} s: "
        f"{len(counts.problems)} problems."
    )
    for problem in counts.problems[:20]:
        print(f"{problem['case']}, {problem['operation']} {problem['k']}: {problem['problem']}")
    return {
        "faults": counts.total,
        "outcomes": [
            {"case": name, "operation": kind, "exit_code": code, "runs": number}
            for (name, kind, code), number in sorted(counts.outcomes.items())
        ],
        "problems": counts.problems,
    }


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("what", choices=["kills", "faults", "all"])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="of so many operations one fails")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        prepared(Path(folder).resolve()) as stock,
    ):
        parts = {"kills": _kills, "faults": _faults}
        result = {
            name: part(stock, arguments)
            for name, part in parts.items()
            if arguments.what in (name, "all")
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if any(part["problems"] for part in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
