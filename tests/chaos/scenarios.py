"""What is run and killed: the folders that a command begins with, and what has to be true after."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos.program_fork import Run, World, run
from chaos.stages import (
    CONVERT,
    PULL_BUNDLE,
    PULL_CHECKPOINT,
    REMOVE,
    sha256,
    stage_of_get,
    stage_of_removal,
    tree,
)
from litertlm.store import Store

CHECKPOINT_REPO = "org/tiny"
BUNDLE_REPO = "org/ready"
LOCAL = "local/checkpoint"
RECIPES = ("dynamic_int8", "fp16")


@dataclass
class Scenario:
    """A command on a models folder.

    Attributes:
        stages: that it passes, in order.
        start: makes the models folder that the command begins with.
        command: the arguments, which may depend on what is on disk.
        others: commands that run beside it.
        stage: how far it has come, from the disk.
        rerun: runs the command again to its end; returns what is wrong then.
        is_done: nothing is left to do, so that there is nothing to kill.
    """

    name: str
    stages: tuple[str, ...]
    start: Callable[[], None]
    command: Callable[[], tuple[str, ...]]
    others: Sequence[tuple[str, ...]]
    stage: Callable[[], str]
    rerun: Callable[[], list[str]]
    is_done: Callable[[], bool]


@dataclass
class Stock:
    """What the scenarios begin with, and what they must end with.

    Attributes:
        right: the SHA-256 of each bundle that an undisturbed run makes, by model and recipe.
        folders: copies of models folders, by name.
    """

    world: World
    checkpoint: Path
    folders: Path
    right: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def right_hashes(self) -> frozenset[str]:
        return frozenset(self.right.values())

    def keep(self, name: str) -> None:
        """Keep the present models folder as `name`."""
        shutil.copytree(self.world.models, self.folders / name)

    def put(self, name: str | None) -> None:
        """Make the models folder a copy of `name`; None for no folder."""
        shutil.rmtree(self.world.models, ignore_errors=True)
        if name is not None:
            shutil.copytree(self.folders / name, self.world.models)

    def bundle(self, model: str) -> Path | None:
        """The bundle of a model, by its final name."""
        found = [p for p in (self.world.models / model).glob("*.litertlm") if p.name[0] != "."]
        return found[0] if found else None


def scenarios(stock: Stock) -> list[Scenario]:
    """All of them."""
    return [
        _pull(stock, CHECKPOINT_REPO, PULL_CHECKPOINT),
        _pull(stock, BUNDLE_REPO, PULL_BUNDLE),
        _convert(stock),
        _prune(stock),
        _rm(stock),
    ]


def _pull(stock: Stock, model: str, stages: tuple[str, ...]) -> Scenario:
    command = ("pull", model)

    def rerun() -> list[str]:
        problems = ended_well(run(stock.world, *command), 0)
        bundle = stock.bundle(model)
        if bundle is None or sha256(bundle) != stock.right[model, RECIPES[0]]:
            problems.append("the rerun made another bundle")
        # A run that finds a bundle takes no lock, and leaves what is unfinished to prune.
        problems += ended_well(run(stock.world, "prune"), 0)
        return problems + left_over(stock.world, model)

    kind = "checkpoint" if model == CHECKPOINT_REPO else "bundle"
    return Scenario(
        name=f"pull {kind}",
        stages=stages,
        start=lambda: stock.put(None),
        command=lambda: command,
        others=[command, command, ("prune",), ("list",), ("rm", model)],
        stage=lambda: stage_of_get(stock.world.models, model, before="", right=stock.right_hashes),
        rerun=rerun,
        is_done=lambda: stock.bundle(model) is not None,
    )


def _convert(stock: Stock) -> Scenario:
    before = ""

    def present() -> str:
        bundle = stock.bundle(LOCAL)
        return "" if bundle is None else sha256(bundle)

    def command() -> tuple[str, ...]:
        nonlocal before
        before = present()
        # The other recipe than that of the bundle that is there.
        recipe = RECIPES[before == stock.right[LOCAL, RECIPES[0]]]
        return ("convert", str(stock.checkpoint), "--force", "--no-check", "--quantize", recipe)

    def rerun() -> list[str]:
        arguments = command()
        problems = ended_well(run(stock.world, *arguments), 0)
        if present() != stock.right[LOCAL, arguments[-1]]:
            problems.append("the rerun made another bundle")
        return problems + left_over(stock.world, LOCAL)

    numbers = random.Random(0)
    again = ("convert", str(stock.checkpoint), "--no-check")
    return Scenario(
        name="convert",
        stages=CONVERT,
        start=lambda: stock.put(numbers.choice([None, "converted"])),
        command=command,
        others=[again, (*again, "--force"), ("prune",), ("list",), ("rm", LOCAL)],
        stage=lambda: stage_of_get(
            stock.world.models, LOCAL, before=before, right=stock.right_hashes
        ),
        rerun=rerun,
        is_done=lambda: False,
    )


def _prune(stock: Stock) -> Scenario:
    command = ("prune", "--caches", "--checkpoints")
    files = tree(stock.folders / "littered" / CHECKPOINT_REPO)
    kept = {"tiny.litertlm", "tiny.json"}
    folder = stock.world.models / CHECKPOINT_REPO

    def rerun() -> list[str]:
        problems = ended_well(run(stock.world, *command), 0)
        if tree(folder) != kept:
            problems.append(f"prune left {sorted(tree(folder) ^ kept)}")
        return problems

    return Scenario(
        name="prune",
        stages=REMOVE,
        start=lambda: stock.put("littered"),
        command=lambda: command,
        others=[command, ("list",), ("prune",)],
        stage=lambda: stage_of_removal(folder, files, kept),
        rerun=rerun,
        is_done=lambda: tree(folder) == kept,
    )


def _rm(stock: Stock) -> Scenario:
    command = ("rm", CHECKPOINT_REPO)
    files = tree(stock.folders / "littered" / CHECKPOINT_REPO)
    folder = stock.world.models / CHECKPOINT_REPO

    def rerun() -> list[str]:
        problems = ended_well(run(stock.world, *command), 0, 3)
        if folder.exists():
            problems.append(f"rm left {sorted(tree(folder))}")
        return problems

    return Scenario(
        name="rm",
        stages=REMOVE,
        start=lambda: stock.put("littered"),
        command=lambda: command,
        others=[command, ("list",), ("prune",)],
        stage=lambda: stage_of_removal(folder, files, set()),
        rerun=rerun,
        is_done=lambda: not folder.exists(),
    )


def litter(stock: Stock) -> None:
    """Put everything into a pulled model's folder that killed runs and the runtime leave."""
    folder = stock.world.models / CHECKPOINT_REPO
    names = [
        ".tiny.litertlm.1.tmp",
        "tiny.litertlm.rejected",
        ".download/0-9-x.part",
        "checkpoint/.download/0-9-y.part",
        "cache/tiny.litertlm_1_2.xnnpack_cache",
        *(f"cache/part-{i}" for i in range(6)),
    ]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 5000)


def ended_well(ended: Run, *codes: int) -> list[str]:
    """What is wrong with a run that nobody has killed."""
    problems = []
    what = " ".join(ended.arguments)
    if ended.code not in codes:
        problems.append(f"`{what}` ended with {ended.code}: {ended.err[-500:]}")
    if "Traceback" in ended.err or "Internal error" in ended.err:
        problems.append(f"`{what}` failed internally: {ended.err[-1500:]}")
    return problems


def left_over(world: World, model: str) -> list[str]:
    """Hidden files that a completed run has left in the model's folder."""
    hidden = {name for name in tree(world.models / model) if "/." in f"/{name}"}
    # A record is staged until the lock is taken next; until then it counts as the bundle's.
    staged = {name for name in hidden if name.endswith(".json.new")}
    unexpected = sorted(hidden - staged - {"checkpoint/.hub.json"})
    return [f"a completed run left {unexpected}"] if unexpected else []


def damage(stock: Stock) -> list[str]:
    """What is wrong on a disk on which nobody is at work."""
    world, problems = stock.world, []
    for bundle in world.models.glob("*/*/*.litertlm"):
        if bundle.name.startswith("."):
            continue
        digest = sha256(bundle)
        if digest not in stock.right_hashes:
            problems.append(f"{bundle.name} is none of the bundles that are made")
    for model in Store(world.models).installed():
        if model.provenance is None:
            problems.append(f"{model.bundle.name} has no record")
        elif (model.provenance.sha256, model.provenance.size_bytes) != (
            sha256(model.bundle),
            model.bundle.stat().st_size,
        ):
            problems.append(f"the record of {model.bundle.name} is that of another file")
    listed = run(world, "list", "--json")
    problems += ended_well(listed, 0)
    models = []
    with suppress(ValueError):
        models = json.loads(listed.out)
    for entry in models:
        if entry["path"]:
            problems += ended_well(run(world, "show", entry["model"]), 0)
    return problems
