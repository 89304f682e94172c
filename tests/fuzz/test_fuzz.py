"""A short campaign with a fixed seed, every stored input, and the watchdog itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz.actions import Outcome, judged, observe
from fuzz.campaign import TIMEOUT, run_campaign
from fuzz.corpus import Entry, entries, known_failures, load_entry, save_entry
from fuzz.mutate import VALUES, mutate_json
from fuzz.pool import worker
from fuzz.targets import TARGETS, make_case
from litertlm.errors import DamagedBundle, EngineFailed

SEED = 12
CASES = 40  # of each target; `make fuzz` runs more


def test_stored_inputs_end_as_their_entries_say() -> None:
    """An entry whose failure was fixed says `known: null`, and must not fail again."""
    wrong = {}
    with worker(TIMEOUT) as process:
        for path in entries():
            outcome = process.run(str(path))
            known = load_entry(path).known
            if (outcome.kind if outcome.failed else None) != known:
                wrong[path.name] = f"{outcome.signature} instead of {known}: {outcome.message}"
    assert not wrong, "after a fix: `make fuzz-replay UPDATE=1` corrects the entries"


@pytest.mark.parametrize("target", TARGETS)
def test_mutated_inputs_are_accepted_or_refused(target: str) -> None:
    report = run_campaign([target], SEED, cases=CASES)
    assert report.cases == CASES
    new = report.failed - known_failures()
    assert not new, (new, report.failures)


@pytest.mark.parametrize("target", TARGETS)
def test_a_case_is_the_same_every_time(target: str) -> None:
    made = [make_case(target, 3, number) for number in range(8)]
    assert made == [make_case(target, 3, number) for number in range(8)]
    assert made != [make_case(target, 4, number) for number in range(8)]


def test_mutations_do_not_change_the_values_that_they_use() -> None:
    before = repr(VALUES)
    for number in range(2000):
        mutate_json(random.Random(number), {"a": {"b": [1, {"c": 2}]}, "d": [[]]}, ("a", "e"))
    assert repr(VALUES) == before


@pytest.mark.parametrize("target", TARGETS)
def test_a_stored_case_is_the_case(target: str, tmp_path: Path) -> None:
    for number in range(8):
        entry = Entry(make_case(target, 5, number), None, "internal error", "a note")
        assert load_entry(save_entry(entry, tmp_path)) == entry


def test_what_happens_to_a_worker_is_an_outcome() -> None:
    with worker(0.5, "fuzz.faulty_worker") as process:
        assert process.run(["fine"]) == Outcome("accepted")
        assert process.run(["spin"]).result == "hang"
        assert process.run(["sleep"]).result == "hang"
        assert process.run(["abort"]).signature == "crash signal 6"
        assert process.run(["exit"]).result == "crash"
        assert process.run(["fine"]) == Outcome("accepted")


def test_a_message_is_judged() -> None:
    assert judged(8, "✗ A name.\n\nWhy.") == "refused"
    assert judged(8, "A name: \x1b[2J") == judged(8, "\u202e") == "unprintable"
    assert judged(8, "a" * 5000) == "long message"
    assert judged(1, "") == "wrong code"


def raised(error: BaseException) -> str:
    def action() -> None:
        raise error

    return observe(action).result


def test_what_an_action_raises_is_an_outcome() -> None:
    assert observe(lambda: None).result == "accepted"
    assert raised(DamagedBundle("It is cut off.")) == "refused"
    assert raised(EngineFailed("An exit code of 1 is no answer to a damaged file.")) == "wrong code"
    assert raised(ValueError()) == raised(RecursionError()) == "internal error"
    assert raised(SystemExit(0)) == "internal error"
    assert raised(MemoryError()) == "out of memory"
