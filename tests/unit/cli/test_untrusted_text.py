"""Text from strangers and the user's token in everything that `Output` prints."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from litertlm.cli.output import Output, table
from litertlm.settings import child_environment, known_tokens

HOSTILE = "a\x1b]0;title\x07\x9b2J\u202eb\ud800\r"
SHOWN = r"a\x1b]0;title\x07\x9b2J\u202eb\ud800\r"
TOKEN = "secret-0123456789"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no file behind it")


def make(stdout: io.StringIO, stderr: io.StringIO, **more: bool) -> Output:
    return Output(
        stdout,
        stderr,
        environment={"TERM": "xterm", "NO_COLOR": "1"},
        secrets=lambda: frozenset({TOKEN}),
        **more,
    )


@pytest.mark.parametrize("method", ["status", "warn", "detail", "note", "transient", "confirm"])
def test_messages_are_printable_and_without_the_token(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    stderr = Terminal()
    out = make(io.StringIO(), stderr, verbose=True)
    monkeypatch.setattr(Output, "width", 300)
    getattr(out, method)(f"{HOSTILE} Bearer {TOKEN} hf_abcdefghijkl")
    assert f"{SHOWN} Bearer <token> <token>" in stderr.getvalue()
    assert TOKEN not in stderr.getvalue()


@pytest.mark.parametrize("method", ["status", "warn", "transient", "confirm"])
def test_a_line_break_in_a_name_does_not_begin_another_message(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr(Output, "width", 300)
    stderr = Terminal()
    getattr(make(io.StringIO(), stderr), method)("Reading a\n✓ Model successfully converted!")
    assert "Reading a\\n✓ Model" in stderr.getvalue()


def test_the_label_of_a_progress_bar_is_printable() -> None:
    stderr = Terminal()
    with make(io.StringIO(), stderr).task(f"{HOSTILE}\n{TOKEN}", 10):
        pass
    assert f"{SHOWN}\\n<token>" in stderr.getvalue()


def test_data_are_printable_as_text_and_valid_as_json() -> None:
    stdout = io.StringIO()
    make(stdout, io.StringIO()).data({}, f"{HOSTILE} {TOKEN}")
    assert stdout.getvalue() == f"{SHOWN} <token>\n"
    stdout = io.StringIO()
    make(stdout, io.StringIO(), json_wanted=True).data({"name": f"{HOSTILE} {TOKEN}"}, "")
    assert json.loads(stdout.getvalue()) == {"name": f"{HOSTILE} <token>"}


@pytest.mark.parametrize("json_wanted", [True, False])
def test_errors_are_without_the_token(json_wanted: bool) -> None:
    stderr = io.StringIO()
    out = make(io.StringIO(), stderr, json_wanted=json_wanted)
    out.error(f"✗ {HOSTILE}{TOKEN}", {"message": f"{HOSTILE}{TOKEN}"})
    if json_wanted:
        assert json.loads(stderr.getvalue())["error"]["message"] == f"{HOSTILE}<token>"
    else:
        assert stderr.getvalue() == f"✗ {SHOWN}<token>\n"


def test_a_source_is_unchanged_in_a_pipe_and_printable_on_a_terminal() -> None:
    pipe, terminal = io.StringIO(), Terminal()
    make(pipe, io.StringIO()).source({}, f"\t{HOSTILE}")
    make(terminal, io.StringIO()).source({}, f"\t{HOSTILE}")
    assert pipe.getvalue() == f"\t{HOSTILE}\n"
    assert terminal.getvalue().endswith(f"    {SHOWN}\n")


def test_a_cell_of_a_table_is_one_short_line() -> None:
    text = table([["NAME", "SIZE"], ["a\nb", "1"], ["x" * 70_000, "2"]])
    assert len(text.splitlines()) == 3
    assert r"a\nb" in text
    assert max(map(len, text.splitlines())) < 600


def test_known_tokens_come_from_variables_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "HF_TOKEN").write_text("token-of-folder\n")
    (tmp_path / "HF_TOKEN").write_text("token-of-parent\n")
    (tmp_path / "token").write_text("token-of-login\n")
    monkeypatch.chdir(tmp_path / "here")
    environment = {"HF_TOKEN": " token-of-variable ", "HF_HOME": str(tmp_path)}
    names = ("variable", "folder", "parent", "login")
    assert known_tokens(environment) == {f"token-of-{name}" for name in names}
    assert known_tokens({"HF_TOKEN": "a", "HF_HOME": "/nowhere"}) == {
        "token-of-folder",
        "token-of-parent",
    }


_GETENV = """
import ctypes, os, sys
from litertlm.cli.main import main
code = main(["pull", os.environ["HF_TOKEN"] + "!"])
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
print(code, [getenv(name.encode()) for name in names], [name in os.environ for name in names])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the C library is another one there")
def test_native_code_of_the_program_finds_no_token(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GETENV],
        env={**os.environ, "HF_TOKEN": "hf_first", "HUGGING_FACE_HUB_TOKEN": "hf_second"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "3 [None, None] [False, False]\n"
    assert "<token>" in done.stderr  # the program itself knows it
    assert "hf_first" not in done.stderr


def test_a_child_gets_no_token_and_what_it_needs() -> None:
    kept = {"PATH": "/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": "/lib", "SystemRoot": "C:"}
    secrets = {"HF_TOKEN": "a", "AWS_SECRET_ACCESS_KEY": "b", "HTTPS_PROXY": "http://u:p@h"}
    assert child_environment({**kept, **secrets}) == kept
