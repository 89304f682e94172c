"""A full disk at every write, and a read error at every read.

The k-th operation fails, for k = 0, 1, ... until a run ends without reaching it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from chaos.file_layer import EIO, ENOSPC, READS, WRITES, NotedFault, install
from chaos.program_fork import Run, run
from chaos.scenarios import (
    BUNDLE_REPO,
    CHECKPOINT_REPO,
    LOCAL,
    RECIPES,
    Stock,
    damage,
    ended_well,
    left_over,
)
from chaos.stages import sha256, tree

NO_RESOURCES = 6
CONVERSION_FAILED = 8
DAMAGED_BUNDLE = 10
# Commands that read a bundle. What the runtime reads is not seen here.
READERS = (("show", LOCAL), ("verify", LOCAL), ("run", LOCAL, "--prompt", "a"))
_NO_SPACE = ("No space left on device", "The disk became full")


@dataclass
class FaultCounts:
    """What has happened.

    Attributes:
        outcomes: by case, kind of operation and exit code.
        problems: what was wrong, with the case and the number of the operation.
    """

    outcomes: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class Case:
    """A command that meets faults.

    Attributes:
        folder: the models folder that it begins with; None for none.
        model: whose bundle it makes.
        recipe: of the bundle.
    """

    name: str
    command: tuple[str, ...]
    folder: str | None
    model: str
    recipe: str = RECIPES[0]


def cases(stock: Stock) -> list[Case]:
    """Everything that writes a bundle."""
    convert = ("convert", str(stock.checkpoint), "--no-check")
    return [
        Case("convert", convert, None, LOCAL),
        Case("reconvert", (*convert, "--force"), "converted", LOCAL),
        Case("pull checkpoint", ("pull", CHECKPOINT_REPO), None, CHECKPOINT_REPO),
        Case("pull bundle", ("pull", BUNDLE_REPO), None, BUNDLE_REPO),
    ]


def fill_disk(stock: Stock, counts: FaultCounts, chosen: Callable[[str], Iterable[int]]) -> None:
    """Let the disk be full from the k-th write on.

    Args:
        chosen: the numbers k to try for a case, ascending; a run that does not reach k is the last.
    """
    for case in cases(stock):
        for k in chosen(case.name):
            fault = _Fault(stock, k, kinds=WRITES, number=ENOSPC, lasts=True)
            if not fault.run(case):
                break
            fault.check_code(NO_RESOURCES)
            if not any(text in fault.ended.err for text in _NO_SPACE):
                fault.problems.append(f"no word of the disk: {fault.ended.err[-300:]}")
            fault.check_disk()
            fault.count(counts, "disk full")


def fail_reads(stock: Stock, counts: FaultCounts, chosen: Callable[[str], Iterable[int]]) -> None:
    """Let the k-th read of the checkpoint fail."""
    for case in cases(stock)[:2]:
        for k in chosen(case.name):
            below = str(stock.checkpoint)
            fault = _Fault(stock, k, kinds=READS, number=EIO, lasts=False, below=below)
            if not fault.run(case):
                break
            fault.check_code(CONVERSION_FAILED)
            if "✗ Cannot read" not in fault.ended.err or below not in fault.ended.err:
                fault.problems.append(f"the file is not named: {fault.ended.err[-300:]}")
            fault.check_disk()
            fault.count(counts, "read error")


def fail_bundle_reads(
    stock: Stock, counts: FaultCounts, chosen: Callable[[str], Iterable[int]]
) -> None:
    """Let the k-th read of a bundle fail: the error names it, and the bundle stays."""
    right = stock.right[LOCAL, RECIPES[-1]]  # which was made last
    for command in READERS:
        for k in chosen(command[0]):
            stock.put("converted")
            bundle = stock.bundle(LOCAL)
            assert bundle is not None
            note, path = stock.world.home / "fault", str(bundle)
            fault = NotedFault(note, READS, k, EIO, lasts=False, below=path)
            ended = run(stock.world, *command, prepare=partial(install, stock.world.models, fault))
            if not note.read_text():
                break
            problems = ended_well(ended, DAMAGED_BUNDLE)
            if f"✗ Cannot read or write {path}" not in ended.err:
                problems.append(f"the file is not named: {ended.err[-300:]}")
            if not bundle.exists() or sha256(bundle) != right:
                problems.append("the bundle is not the same any more")
            name = f"read error: {command[0]}"
            counts.outcomes[name, "read", ended.code] += 1
            counts.problems += [
                {"case": name, "k": k, "operation": "read", "path": path, "problem": problem}
                for problem in problems
            ]


class _Fault:
    """One run with one fault, and the rerun."""

    def __init__(
        self,
        stock: Stock,
        k: int,
        *,
        kinds: frozenset[str],
        number: int,
        lasts: bool,
        below: str = "",
    ) -> None:
        self.problems: list[str] = []
        self._stock = stock
        self._k = k
        self._note = stock.world.home / "fault"
        self._fault = (kinds, k, number)
        self._lasts = lasts
        self._below = below

    def run(self, case: Case) -> bool:
        """Run the command; whether it has met the fault."""
        stock = self._stock
        stock.put(case.folder)
        self._case = case
        self._before = tree(stock.world.models)
        watched = Path(self._below) if self._below else stock.world.models

        def prepare() -> None:
            fault = NotedFault(self._note, *self._fault, lasts=self._lasts, below=self._below)
            install(watched, fault)

        self.ended: Run = run(stock.world, *case.command, prepare=prepare)
        # The logs of a run are written over by later ones.
        self._kind, _, self._path = self._note.read_text().strip().partition("\t")
        return bool(self._kind)

    def check_code(self, code: int) -> None:
        if self.ended.code == 0:
            # The operation was one that a run can do without; then its result has to be right.
            self.problems += self._rightly_made()
        else:
            self.problems += ended_well(self.ended, code)

    def check_disk(self) -> None:
        """Nothing looks finished that is not, and a rerun ends right."""
        stock, case = self._stock, self._case
        if (self.ended.code != 0 and stock.bundle(case.model) is None) or self._before:
            names = {n for n in tree(stock.world.models) if ".locks/" not in n}
            parts = {n for n in names if ".download/" in n or "/checkpoint/" in n}
            if more := names - parts - self._before:
                self.problems.append(f"left {sorted(more)}")
        # After its rename the bundle is complete, and `damage` checks it with its record.
        self.problems += damage(stock)
        self.problems += ended_well(run(stock.world, *case.command), 0)
        self.problems += self._rightly_made()
        self.problems += left_over(stock.world, case.model)
        for path in stock.world.temporary.iterdir():
            self.problems.append(f"left {path.name} among the temporary files")
            shutil.rmtree(path, ignore_errors=True)

    def count(self, counts: FaultCounts, what: str) -> None:
        name = f"{what}: {self._case.name}"
        counts.outcomes[name, self._kind, self.ended.code] += 1
        counts.problems += [
            {
                "case": name,
                "k": self._k,
                "operation": self._kind,
                "path": self._path,
                "problem": problem,
            }
            for problem in self.problems
        ]

    def _rightly_made(self) -> list[str]:
        bundle = self._stock.bundle(self._case.model)
        right = self._stock.right[self._case.model, self._case.recipe]
        if bundle is None or sha256(bundle) != right:
            return ["the bundle is not the right one"]
        return []
