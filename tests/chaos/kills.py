"""kill -9 at moments spread evenly over every stage of convert, pull, prune and rm."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.file_layer import Kill, Recorder, install, kill_plan
from chaos.program_fork import Run, World, run, start, wait_for_any, wait_for_group
from chaos.scenarios import Scenario, Stock, damage, ended_well

_LONGEST_GAP = 0.1  # seconds after an event in which a kill is tried
_TRIES = 20  # of a round in which every run ends before its kill
# What runs that were not killed may end with: the model may be gone, by rm.
_CODES = {"list": (0,), "prune": (0,), "rm": (0, 3)}


@dataclass(frozen=True)
class Moment:
    """An event of an undisturbed run.

    Attributes:
        gap: seconds to the next event, at most `_LONGEST_GAP`.
    """

    number: int
    kind: str
    stage: str
    gap: float


@dataclass
class Counts:
    """What has happened.

    Attributes:
        kills: by scenario, stage and number of processes at once.
        missed: runs that ended before their kill; they count as nothing.
        reruns: of the command after its kills, all of which ended right unless there is a problem.
        empty_folders: temporary folders that killed runs left.
        problems: what was wrong, with what was done.
    """

    kills: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    missed: int = 0
    reruns: int = 0
    empty_folders: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.kills.values())

    def at(self, scenario: str, stage: str) -> int:
        """Kills at a stage."""
        return sum(n for (name, s, _), n in self.kills.items() if (name, s) == (scenario, stage))


def moments_of(world: World, scenario: Scenario) -> list[Moment]:
    """The events of a run that nobody disturbs."""
    scenario.start()
    record = world.home / "events"
    arguments = scenario.command()
    began = time.monotonic_ns()
    ended = run(
        world,
        *arguments,
        prepare=lambda: install(world.models, Recorder(record, scenario.stage)),
    )
    assert ended.code == 0, ended.err
    lines = [line.split("\t") for line in record.read_text().splitlines()]
    times = [int(line[0]) for line in lines] + [time.monotonic_ns()]
    assert times[0] > began
    found = [Moment(-1, "start", scenario.stages[0], min((times[0] - began) / 1e9, _LONGEST_GAP))]
    for number, (at, kind, stage, _) in enumerate(lines):
        # Events of several threads are not recorded in order.
        gap = min(max(0, times[number + 1] - int(at)) / 1e9, _LONGEST_GAP)
        found.append(Moment(number, kind, stage, gap))
    # After the last event the run is at its last stage.
    found.append(Moment(len(lines) - 1, "end", scenario.stages[-1], found[-1].gap))
    return found


def kill_many(
    stock: Stock,
    scenarios: list[Scenario],
    *,
    kills: int,
    seed: int,
    report: Callable[[Counts], None] = lambda counts: None,
) -> Counts:
    """Kill until `kills` processes have died of it.

    The stage that was hit least is aimed at next; which one is hit is read from the disk.
    """
    moments = {s.name: moments_of(stock.world, s) for s in scenarios}
    counts = Counts()
    turn = 0
    while counts.total < kills:
        numbers = random.Random(f"{seed} {turn}")
        scenario = scenarios[turn % len(scenarios)]
        _round(stock, scenario, moments[scenario.name], counts, numbers, turn)
        turn += 1
        report(counts)
    return counts


def _round(
    stock: Stock,
    scenario: Scenario,
    moments: list[Moment],
    counts: Counts,
    numbers: random.Random,
    turn: int,
) -> None:
    scenario.start()
    done: dict[str, Any] = {"round": turn, "scenario": scenario.name, "kills": []}
    problems: list[str] = []
    wanted, tries = numbers.choice([1, 1, 1, 2]), 0
    while wanted and tries < _TRIES and not scenario.is_done():
        tries += 1
        killed = _kill(stock, scenario, moments, counts, numbers, done, problems)
        problems += damage(stock)
        if killed:
            wanted -= 1
        else:
            counts.missed += 1
            if scenario.is_done():
                scenario.start()
    problems += scenario.rerun()
    problems += damage(stock)
    counts.reruns += 1
    counts.problems += [{**done, "problem": problem} for problem in problems]


def _kill(
    stock: Stock,
    scenario: Scenario,
    moments: list[Moment],
    counts: Counts,
    numbers: random.Random,
    done: dict[str, Any],
    problems: list[str],
) -> bool:
    """Start one to three runs, of which one or more are killed; whether one was."""
    world = stock.world
    stages = sorted(
        (s for s in scenario.stages if any(m.stage == s for m in moments)),
        key=lambda s: (counts.at(scenario.name, s), numbers.random()),
    )
    processes = numbers.choice([1, 1, 1, 2, 2, 3])
    runs: list[Run] = []
    plans = []
    arguments = scenario.command()
    for index in range(processes):
        command = arguments if index == 0 else numbers.choice(list(scenario.others))
        armed = index == 0 or numbers.random() < 0.5
        moment = numbers.choice([m for m in moments if m.stage == stages[0]])
        plan = kill_plan(numbers, moment.number, moment.kind, moment.gap) if armed else None
        if index:
            time.sleep(numbers.uniform(0, 0.05))
        plans.append({"arguments": command, "aim": stages[0], "kill": plan and asdict(plan)})
        runs.append(start(world, *command, prepare=_prepare(world.models, plan)))
    hit = False
    while any(r.status is None for r in runs):
        ended = wait_for_any(runs)
        stage = scenario.stage()
        plans[runs.index(ended)]["stage"] = stage
        if ended.was_killed:
            hit = True
            counts.kills[scenario.name, stage, processes] += 1
        else:
            problems += ended_well(ended, *_CODES.get(ended.arguments[0], (0,)))
    for ended in runs:
        if not wait_for_group(ended):
            problems.append(f"a process of {ended.arguments} lives on")
    for folder in world.temporary.iterdir():
        counts.empty_folders += 1
        shutil.rmtree(folder, ignore_errors=True)
        folder.unlink(missing_ok=True) if folder.is_file() else None
    done["kills"].append(plans)
    return hit


def _prepare(models: Path, plan: Kill | None) -> Callable[[], None]:
    def prepare() -> None:
        if plan is not None:
            install(models, plan)
            plan.begin()

    return prepare
