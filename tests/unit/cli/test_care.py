"""`list --sort --filter`, `prune --keep --older-than`, `show --diff`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pexpect

from litertlm.units import parse_age, parse_bytes
from program import PROGRAM, isolated_environment, run_program
from unit.cli.test_program import install, write_bundle

DAY = 86_400


def used(bundle: Path, days: float) -> None:
    """Make the model last used `days` ago."""
    moment = time.time() - days * DAY
    os.utime(bundle, (moment, moment))


def three_models(models: Path) -> None:
    for name, size, days, created in (
        ("org/big", 3_000_000, 40, "2026-01-02"),
        ("org/small", 1_000_000, 5, "2026-03-02"),
        ("other/middle", 2_000_000, 90, "2026-02-02"),
    ):
        used(install(models, name, size, created=f"{created}T03:04:05+00:00"), days)


def listed(home: Path, *options: str) -> list[str]:
    return [
        model["model"]
        for model in json.loads(run_program("list", "--json", *options, home=home).out)
    ]


def test_list_sorts_and_filters(tmp_path: Path) -> None:
    three_models(tmp_path / "models")
    assert listed(tmp_path) == ["org/big", "org/small", "other/middle"]
    assert listed(tmp_path, "--sort", "size") == ["org/big", "other/middle", "org/small"]
    assert listed(tmp_path, "--sort", "date") == ["org/small", "other/middle", "org/big"]
    assert listed(tmp_path, "--sort", "used") == ["org/small", "org/big", "other/middle"]
    assert listed(tmp_path, "--filter", "ORG/") == ["org/big", "org/small"]
    assert listed(tmp_path, "--filter", "s*l") == ["org/small"]
    nothing = run_program("list", "--filter", "none", home=tmp_path)
    assert (nothing.code, nothing.out) == (0, "")
    assert "No model in models matches none." in nothing.err


def test_prune_by_age_and_size(tmp_path: Path) -> None:
    three_models(tmp_path / "models")
    keep = ("prune", "--keep", "4.5MB")
    refused = run_program(*keep, home=tmp_path)
    assert refused.code == 2, "there is no terminal to ask on"
    assert "other/middle (model): more than 4.5 MB are on disk" in refused.err
    assert "Use --yes" in refused.err
    plan = json.loads(
        run_program("prune", "--older-than", "30d", "--dry-run", "--json", home=tmp_path).out
    )
    assert [(item["model"], item["reason"]) for item in plan] == [
        ("org/big", "not used for 40 days"),
        ("other/middle", "not used for 90 days"),
    ]
    assert len(listed(tmp_path)) == 3
    assert run_program(*keep, "--yes", home=tmp_path).code == 0
    assert listed(tmp_path) == ["org/big", "org/small"], "the least recently used one is gone"
    assert run_program("prune", "--older-than", "2 weeks", home=tmp_path).code == 2


def test_prune_asks_on_a_terminal(tmp_path: Path) -> None:
    bundle = install(tmp_path / "models", "org/name")
    unfinished = bundle.with_name(".name.litertlm.123.tmp")
    unfinished.write_bytes(b"x" * 2000)
    for answer, ended in (("n", "Nothing was removed"), ("y", "Freed 2.0 kB")):
        child = pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], "prune"],
            env=isolated_environment(tmp_path),
            encoding="utf-8",
            cwd=str(tmp_path),
        )
        child.expect("unfinished, 2.0 kB")
        child.expect(r"Remove this \(2.0 kB\)\? \[y/N\] ")
        assert unfinished.exists()
        child.sendline(answer)
        child.expect(ended)
        child.expect(pexpect.EOF)
    assert not unfinished.exists()
    assert bundle.exists()


def test_show_diff(tmp_path: Path) -> None:
    for name, recipe in (("org/a", "dynamic_int8"), ("org/b", "fp16")):
        bundle = install(tmp_path / "models", name, 100_000, recipe=recipe)
        write_bundle(bundle, 100_000)
    ended = run_program("show", "--diff", "org/a", "org/b", home=tmp_path)
    assert ended.code == 0, ended.err
    assert [line.split() for line in ended.out.splitlines() if line] == [
        ["FIELD", "org/a", "org/b"],
        ["recipe", "dynamic_int8", "fp16"],
        ["origin", "org/a", "org/b"],
    ]
    same = run_program("show", "--diff", "org/a", "org/a", "--json", home=tmp_path)
    assert json.loads(same.out) == {"models": ["org/a", "org/a"], "differences": {}}


def test_sizes_and_ages() -> None:
    for text, nbytes in (("20GB", 20e9), ("1.5 g", 1.5e9), ("4GiB", 4 << 30), ("7", 7), ("0", 0)):
        assert parse_bytes(text) == nbytes
    for text in ("", "GB", "-1GB", "1e9", "5ib", "20 gigabytes"):
        assert parse_bytes(text) is None
    assert (parse_age("12h"), parse_age("2w"), parse_age("1y")) == (12 * 3600, 14 * DAY, 365 * DAY)
    for text in ("", "30", "d", "-1d", "1 month"):
        assert parse_age(text) is None
