"""The minimum speed of a download, by a clock of the test's own."""

from __future__ import annotations

import pytest

from litertlm.errors import UsageError
from litertlm.hub.failures import TooSlow
from litertlm.hub.pace import MIN_SPEED, SPEED_VARIABLE, Pace, read_min_speed


class Clock:
    now = 5000.0

    def __call__(self) -> float:
        return self.now


def receive(pace: Pace, clock: Clock, speed: int, seconds: int) -> int:
    """Receive for a time; the number of stalls."""
    stalls = 0
    for _ in range(seconds):
        clock.now += 1
        try:
            pace.received(speed)
        except TooSlow:
            stalls += 1
    return stalls


def test_one_byte_per_second_is_a_stall_after_each_window() -> None:
    clock = Clock()
    pace = Pace(1000, 60, clock)
    assert receive(pace, clock, 1, 59) == 0
    assert receive(pace, clock, 1, 1) == 1
    assert receive(pace, clock, 1, 240) == 4
    assert pace.slow_windows == 5


def test_the_message_names_speed_minimum_and_variable() -> None:
    clock = Clock()
    pace = Pace(1000, 60, clock)
    clock.now += 60
    with pytest.raises(TooSlow) as raised:
        pace.received(120)
    error = raised.value.error
    assert "2 bytes per second" in error.what
    assert "1,000 bytes per second over 60 seconds" in error.why
    assert SPEED_VARIABLE in error.hint


def test_a_fast_window_ends_the_count_of_slow_ones() -> None:
    clock = Clock()
    pace = Pace(1000, 60, clock)
    assert receive(pace, clock, 999, 180) == 3
    assert receive(pace, clock, 1000, 60) == 0
    assert pace.slow_windows == 0


def test_a_fast_start_of_a_window_is_enough() -> None:
    clock = Clock()
    pace = Pace(1000, 60, clock)
    pace.received(60_000)
    assert receive(pace, clock, 1, 60) == 0
    assert receive(pace, clock, 1, 60) == 1


def test_pauses_between_tries_do_not_count() -> None:
    clock = Clock()
    pace = Pace(1000, 60, clock)
    assert receive(pace, clock, 2000, 30) == 0
    with pace.paused():
        clock.now += 3000
    assert receive(pace, clock, 2000, 30) == 0


def test_no_minimum() -> None:
    clock = Clock()
    assert receive(Pace(0, 60, clock), clock, 0, 1000) == 0


def test_minimum_from_the_environment() -> None:
    assert read_min_speed({}) == read_min_speed({SPEED_VARIABLE: " "}) == MIN_SPEED
    assert read_min_speed({SPEED_VARIABLE: "0"}) == 0
    assert read_min_speed({SPEED_VARIABLE: " 20000 "}) == 20000
    for text in ("fast", "-1", "1.5", "1e3", "9" * 30):
        with pytest.raises(UsageError, match=SPEED_VARIABLE):
            read_min_speed({SPEED_VARIABLE: text})
