"""Output: streams, --quiet and --verbose, colours, progress bars."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from litertlm.cli.output import Output, format_duration, listing, table
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
    assert 20 <= stderr.getvalue().count("Converting") <= 51


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_the_bar_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stderr = Terminal()
    with output(stderr).task("Downloading model.safetensors", 10**9) as task:
        task.advance(10**8)
    assert all(len(line) < columns for line in stderr.getvalue().split("\r\x1b[K"))


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
