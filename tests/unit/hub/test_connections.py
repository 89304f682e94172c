"""The number of connections, by a clock of the test's own; jobs and their errors."""

from __future__ import annotations

import threading

import pytest

from litertlm.hub.connections import FIRST, MOST, Connections, Jobs


def settle(speed_of: dict[int, float]) -> int:
    """The limit that a line ends at whose total speed with n connections is `speed_of[n]`."""
    now = 0.0
    connections = Connections(clock=lambda: now)
    connections.received(0, FIRST)
    for _ in range(20):
        now += 1
        connections.received(int(speed_of[connections.limit] * 1e6), connections.limit)
    return connections.limit


def test_more_connections_while_that_is_faster() -> None:
    assert settle({4: 80, 8: 160, 16: 320}) == MOST
    assert settle({4: 80, 8: 160, 16: 165}) == 8
    assert settle({4: 80, 8: 80}) == FIRST


def test_nothing_is_learned_from_few_blocks() -> None:
    now = 0.0
    connections = Connections(clock=lambda: now)
    for _ in range(5):
        now += 1
        assert not connections.received(1000, FIRST - 1)
    assert connections.limit == FIRST


def test_a_server_that_is_busy_gets_fewer() -> None:
    connections = Connections()
    connections.refused()
    connections.refused()
    connections.refused()
    assert connections.limit == 1


def test_jobs_add_jobs_and_at_most_the_limit_runs_at_once() -> None:
    jobs, done, running, most = Jobs(), [], [0], [0]
    lock = threading.Lock()
    all_running = threading.Barrier(FIRST)

    def job(number: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if number < FIRST:
            all_running.wait(60)
            jobs.add(lambda: job(number + 100))
        with lock:
            running[0] -= 1
            done.append(number)

    for number in range(FIRST):
        jobs.add(lambda number=number: job(number))  # type: ignore[misc]
    jobs.run()
    assert sorted(done) == [*range(FIRST), *range(100, 100 + FIRST)]
    assert most[0] == FIRST


def test_the_first_error_stops_the_others() -> None:
    jobs = Jobs()

    def fail() -> None:
        raise OSError("disk")

    def wait() -> None:
        assert jobs.stop.wait(60)

    def never() -> None:
        raise AssertionError

    jobs.connections.limit = 2
    jobs.add(wait, fail, *[never] * 10)
    with pytest.raises(OSError, match="disk"):
        jobs.run()
