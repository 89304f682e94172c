"""Output: streams, --quiet and --verbose, colours, progress bars."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import pytest

from litertlm.cli.output import Output, listing, table
from litertlm.cli.progress_display import format_duration
from litertlm.units import format_bytes


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no file behind it")


def ticking(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


def output(stderr: io.StringIO, *, step: float = 1.0, **more: object) -> Output:
    seconds = ticking(step)
    options = {"environment": {"TERM": "xterm"}, **more}
    return Output(io.StringIO(), stderr, clock=lambda: next(seconds), **options)  # type: ignore[arg-type]


def test_status_is_plain_without_a_terminal_and_there_is_no_bar() -> None:
    stderr = io.StringIO()
    out = output(stderr)
    with out.task("Converting", 100) as task:
        task.advance(50)
    out.status("✓ Done")
    assert stderr.getvalue() == "✓ Done\n"


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_dumb_terminal_is_not_a_terminal(environment: dict[str, str]) -> None:
    stderr = Terminal()
    out = output(stderr, environment=environment)
    with out.task("Converting", 100) as task:
        task.advance(50)
        out.status("✓ Done")
    assert stderr.getvalue() == "✓ Done\n"


def test_no_color_keeps_the_bar() -> None:
    stderr = Terminal()
    out = output(stderr, environment={"TERM": "xterm", "NO_COLOR": "1"})
    with out.task("Converting", 100) as task:
        task.advance(50)
        out.status("✓ Done")
    assert "✓ Done\n" in stderr.getvalue()
    assert "\x1b[3" not in stderr.getvalue()
    assert "50%" in stderr.getvalue()


def test_the_bar_shows_bytes_rate_and_time_left_and_is_removed() -> None:
    stderr = Terminal()
    out = output(stderr)
    with out.task("Converting", 40_000_000) as task:
        task.advance(10_000_000)
    drawn = stderr.getvalue().split("\r\x1b[K")
    assert "Converting  ━" in drawn[2]
    assert " 25%  10.0 MB of 40.0 MB" in drawn[2]
    assert "MB/s" in drawn[2]
    assert "left" in drawn[2]
    assert drawn[-1] == ""


def test_the_bar_is_redrawn_ten_times_a_second_at_most() -> None:
    stderr = Terminal()
    out = output(stderr, step=0.005)
    with out.task("Converting", 1000) as task:
        for _ in range(1000):  # 5 seconds of the clock
            task.advance(1)
    assert 20 <= stderr.getvalue().count("Converting") <= 55


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_bar_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stderr = Terminal()
    with output(stderr).task("Downloading model.safetensors", 10**9) as task:
        task.advance(10**8)
    assert all(len(line) < columns for line in stderr.getvalue().split("\r\x1b[K"))


@pytest.mark.parametrize("columns", [12, 20, 30, 40, 60])
def test_a_narrow_terminal_keeps_the_percentage(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stderr = Terminal()
    with output(stderr).task("Downloading an-organisation/a-model-with-a-long-name", 10**9) as task:
        task.advance(10**8)
        task.advance(10**8)
    lines = stderr.getvalue().split("\r\x1b[K")
    assert all(len(line) < columns for line in lines)
    assert "20%" in lines[-2]


def test_several_tasks_have_a_line_each() -> None:
    stderr = Terminal()
    out = output(stderr, environment={"TERM": "xterm", "NO_COLOR": "1"})
    out.status("first")
    with out.about("a", 2, 3), out.task("Downloading a", 1000) as first:
        with out.task("Converting a", 1000) as second:
            first.advance(500)
            second.advance(100)
            shown = stderr.getvalue().rpartition("\x1b[1A\r")[2]
            assert [line.split("  ")[0] for line in shown.split("\n")] == [
                "\x1b[K[2/3] Downloading a",
                "\x1b[K[2/3] Converting a",
            ]
            out.status("✓ a line")
        assert "\x1b[1A\r\x1b[J✓ a line\n" in stderr.getvalue()
        first.advance(100)
        assert "Converting" not in stderr.getvalue().rpartition("\r\x1b[K")[2]
    assert stderr.getvalue().endswith("\r\x1b[K")


def test_a_bar_shows_a_pause_and_silence() -> None:
    stderr = Terminal()
    now = 0.0
    out = Output(io.StringIO(), stderr, environment={"TERM": "xterm"}, clock=lambda: now)
    with out.task("Downloading a", 1000) as task:
        now = 1.0
        task.advance(100)
        with out.waiting("host answered 429.", 12, requested=True):
            shown = stderr.getvalue().rpartition("\n")[2]
            assert shown == "\x1b[Kwaiting 0:12, the server asked for it: host answered 429."
            with out.waiting("host answered 429.", 12, requested=True):  # a second connection
                assert stderr.getvalue().count("\n") == 2, "one line for both"
        now = 30.0
        task.advance(0)
        assert stderr.getvalue().endswith("no data for 0:29")
        assert "left" not in stderr.getvalue().rpartition("\r")[2]


def test_bytes_that_come_again_are_shown() -> None:
    stderr = Terminal()
    now = 0.0
    out = Output(io.StringIO(), stderr, environment={"TERM": "xterm"}, clock=lambda: now)
    with out.task("Downloading a", 1000) as task:
        for step in (600, -600, 500, 300):
            now += 1
            task.advance(step)
    drawn = stderr.getvalue().split("\r\x1b[K")
    shares = [re.search(r"\d+%", line) for line in drawn[2:6]]
    assert [share and share[0] for share in shares] == ["60%", "0%", "50%", "80%"]


def test_a_task_that_waits_for_others_has_no_rate() -> None:
    stderr = Terminal()
    now = 0.0
    out = Output(io.StringIO(), stderr, environment={"TERM": "xterm"}, clock=lambda: now)
    with out.task("Downloading a", 1000) as task:
        for _ in range(2):
            now += 1
            task.advance(500)
            assert ("/s" in stderr.getvalue().rpartition("\r")[2]) == (now == 1)
        now += 10
        task.advance(0)
        assert stderr.getvalue().endswith("100%  1.0 kB of 1.0 kB")


def test_without_utf8_the_bar_is_ascii() -> None:
    class Latin(Terminal):
        encoding = "latin-1"

    stderr = Latin()
    with output(stderr).task("Converting", 1000) as task:
        task.advance(500)
    assert "###" in stderr.getvalue()
    assert stderr.getvalue().isascii()


def test_a_log_gets_a_line_every_few_seconds() -> None:
    stderr = io.StringIO()
    now = 0.0
    out = Output(io.StringIO(), stderr, environment={}, clock=lambda: now)
    with out.task("Downloading a", 1_000_000) as task:
        for _ in range(12):
            now += 1.0
            task.advance(50_000)
        with (
            out.waiting("host answered 429.", 12, requested=True),
            out.waiting("host answered 429.", 12, requested=True),
            out.waiting("The connection was interrupted.", 1, requested=False),
        ):
            pass
    assert stderr.getvalue().splitlines() == [
        "Downloading a: 25%, 250.0 kB of 1.0 MB, 50.0 kB/s, 0:15 left",
        "Downloading a: 50%, 500.0 kB of 1.0 MB, 50.0 kB/s, 0:10 left",
        "host answered 429. Waiting 12 s, as requested by the server...",
    ]


def test_events_are_one_object_a_line() -> None:
    stderr = io.StringIO()
    now = 0.0
    out = Output(
        io.StringIO(),
        stderr,
        environment={},
        clock=lambda: now,
        events_wanted=True,
        verbose=True,
        secrets=lambda: frozenset({"secretword"}),
    )
    with out.about("o/a"), out.task("Downloading a", 1000) as task:
        for step in (600, -600, 300, 700):
            now += 1.0
            task.advance(step)
        with out.waiting("host\nanswered 429.", 12, requested=True):
            out.status("two\nlines secretword")
    out.warn("once")
    out.warn("once")
    out.error("✗ text", {"type": "NetworkError", "exit_code": 5})
    out.event("end", exit_code=5)
    events = [json.loads(line) for line in stderr.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        "started",
        *["progress"] * 4,
        "waiting",
        "status",
        "continued",
        "finished",
        "warning",
        "error",
        "end",
    ]
    assert all(isinstance(event["time"], float) for event in events)
    assert [e["done_bytes"] for e in events if "done_bytes" in e] == [0, 600, 600, 600, 1000, 1000]
    assert {e["model"] for e in events[:9]} == {"o/a"}
    assert events[1]["bytes_per_second"] == 600
    assert (events[5]["wait_s"], events[5]["requested"]) == (12.0, True)
    assert "secretword" not in stderr.getvalue()
    assert events[-2]["error"]["exit_code"] == 5


def test_quiet_keeps_warnings_and_verbose_adds_details() -> None:
    quiet, verbose = io.StringIO(), io.StringIO()
    for out in (output(quiet, quiet=True), output(verbose, verbose=True)):
        out.status("status")
        out.detail("detail")
        out.warn("warning")
    assert quiet.getvalue() == "! warning\n"
    assert verbose.getvalue() == "status\ndetail\n! warning\n"


def test_data_is_human_or_json() -> None:
    for wanted, text in ((False, "human\n"), (True, '{\n  "a": 1\n}\n')):
        stdout = io.StringIO()
        out = Output(stdout, io.StringIO(), environment={}, json_wanted=wanted)
        out.data({"a": 1}, "human")
        assert stdout.getvalue() == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (141_900_000, "141.9 MB"),
        (10**13, "10.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_format_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_table_columns_line_up() -> None:
    assert table([["A", "B"], ["long", "1"]], right=frozenset({1})) == "A     B\nlong  1"


def test_the_last_column_of_a_listing_is_wrapped() -> None:
    rows = [["a", "b c", "one two three four five six seven"], ["long", "d", "x" * 40]]
    assert listing(rows, 38).split("\n") == [
        "  a     b c  one two three four five",
        "             six seven",
        "  long  d    " + "x" * 40,
    ]
    assert listing(rows, 30).split("\n")[:3] == [
        "  a     b c",
        "      one two three four five",
        "      six seven",
    ]
