"""Run cases of all targets for some time, print the counts, and store what failed.

PYTHONPATH=src:tests python -m fuzz.campaign --seconds 3600 --seed 7
... --target gguf --seed 7 --case 1234        one case, with what the user would read
... --replay tests/fuzz/corpus/*.json         stored inputs
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from fuzz.actions import Outcome
from fuzz.corpus import FOLDER, Entry, entries, known_failures, load_entry, save_entry
from fuzz.pool import worker
from fuzz.targets import TARGETS, make_case

TIMEOUT = 10.0  # seconds of processor time; an input takes 0.02


@dataclass
class Report:
    """Counts of a campaign.

    Attributes:
        results: (target, result, error class) to number of cases.
        failures: signature to the cases that showed it, `target seed case`.
    """

    seed: int
    results: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, target: str, outcome: Outcome, name: str) -> None:
        """Add a case."""
        self.results[target, outcome.result, outcome.error] += 1
        if outcome.failed:
            self.failures.setdefault(outcome.signature, []).append(name)

    @property
    def failed(self) -> set[tuple[str, str]]:
        """(target, kind) of what failed."""
        return {
            (target, outcome.kind)
            for target, result, error in self.results
            if (outcome := Outcome(result, error=error)).failed
        }

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.results.values())

    def table(self) -> str:
        """Rows of results, columns of targets."""
        targets = [t for t in TARGETS if any(key[0] == t for key in self.results)]
        lines = [["outcome", *targets, "all"]]
        kinds = Counter[tuple[str, str]]()
        for (_, result, error), count in self.results.items():
            kinds[result, error] += count
        for (result, error), total in sorted(
            kinds.items(), key=lambda item: (item[0][0], -item[1])
        ):
            counts = [self.results[target, result, error] for target in targets]
            lines.append([f"{result} {error}".strip(), *map(str, [*counts, total])])
        sums = [sum(n for key, n in self.results.items() if key[0] == t) for t in targets]
        lines.append(["all", *map(str, [*sums, self.cases])])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        rows = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        ]
        rate = self.cases / self.seconds if self.seconds else 0
        head = (
            f"seed {self.seed}: {self.cases:,} inputs in {self.seconds:.0f} s, {rate:.0f} a second"
        )
        return "\n".join((head, "", *rows))

    def as_json(self) -> dict[str, object]:
        """The same as data."""
        return {
            "seed": self.seed,
            "inputs": self.cases,
            "seconds": round(self.seconds, 1),
            "outcomes": [
                {"target": target, "outcome": result, "error": error, "count": count}
                for (target, result, error), count in sorted(self.results.items())
            ],
            "failures": {name: cases[:10] for name, cases in sorted(self.failures.items())},
        }


def run_campaign(
    targets: list[str],
    seed: int,
    *,
    seconds: float | None = None,
    cases: int | None = None,
    store: Path | None = None,
    timeout: float = TIMEOUT,
) -> Report:
    """Cases 0, 1, ... of each target in turn, until the time or their number is up.

    Args:
        store: the folder where the first case of each failure is stored, unless an entry has it.
    """
    report = Report(seed)
    started = time.monotonic()
    loaded = [load_entry(path) for path in entries()]
    stored = {entry.signature for entry in loaded if entry.known}
    number = 0
    with worker(timeout) as process:
        while cases is None or number < cases:
            for target in targets:
                outcome = process.run((target, seed, number))
                report.count(target, outcome, f"{target} {seed} {number}")
                signature = outcome.signature
                if outcome.failed and store is not None and signature not in stored:
                    stored.add(signature)
                    case = make_case(target, seed, number)
                    note = f"{outcome.place} {outcome.message[-600:]}".strip()
                    path = save_entry(Entry(case, outcome.kind, signature, note), store)
                    print(f"{signature}: {path.name} (case {number})", file=sys.stderr)
            number += 1
            report.seconds = time.monotonic() - started
            if seconds is not None and report.seconds >= seconds:
                break
    return report


def replay(paths: list[Path], *, update: bool = False) -> int:
    """Run stored inputs; returns how many do not do what their entry says.

    Args:
        update: write what they do now into the entries.
    """
    wrong = 0
    with worker(TIMEOUT) as process:
        for path in paths:
            entry, outcome = load_entry(path), process.run(str(path.resolve()))
            found = outcome.kind if outcome.failed else None
            if found != entry.known and update:
                path.unlink()
                save_entry(replace(entry, known=found), path.parent)
            wrong += found != entry.known
            print(f"{path.name}: {outcome.signature}, exit code {outcome.code} {outcome.place}")
    return wrong


def main() -> int:
    """Exit code 1 if something failed that the corpus does not know."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--case", type=int, help="run this one alone")
    parser.add_argument("--cases", type=int, help="at most this many of each target")
    parser.add_argument("--store", type=Path, default=FOLDER, help="where failures are stored")
    parser.add_argument("--json", type=Path, help="write the counts there")
    parser.add_argument("--replay", type=Path, nargs="*")
    parser.add_argument("--update", action="store_true", help="with --replay: correct the entries")
    args = parser.parse_args()
    if args.replay is not None:
        return int(replay(args.replay or entries(), update=args.update) > 0)
    targets = args.target or list(TARGETS)
    if args.case is not None:
        with worker(TIMEOUT) as process:
            for target in targets:
                outcome = process.run((target, args.seed, args.case))
                print(f"{target}: {outcome.signature}, {outcome.code}, {outcome.place}")
                print(ascii(outcome.message).replace("\\n", "\n"))
        return 0
    report = run_campaign(
        targets, args.seed, seconds=args.seconds, cases=args.cases, store=args.store
    )
    print(report.table())
    for signature, cases in sorted(report.failures.items()):
        print(f"{signature}: {len(cases)}, first {cases[0]}")
    if args.json:
        args.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    new = report.failed - known_failures()
    for target, kind in sorted(new):
        print(f"new: {target} {kind}")
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main())
