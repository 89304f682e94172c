"""`completion`: the scripts, and the answers to them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from program import PROGRAM, isolated_environment, run_program
from unit.cli.test_program import install


def answers(home: Path, *words: str, shell: str = "bash") -> list[str]:
    """What the shell is told after `words`, the last of which is incomplete."""
    incomplete = {"bash": str(len(words))}.get(shell, words[-1])
    ended = run_program(
        home=home,
        _LITERT_LM_CLI_COMPLETE=f"{shell}_complete",
        COMP_WORDS=" ".join(["litert-lm-cli", *words]),
        COMP_CWORD=incomplete,
    )
    assert (ended.code, ended.err) == (0, "")
    return ended.out.split("\n")[:-1] if ended.out.strip() else []


def test_names_of_models(tmp_path: Path) -> None:
    install(tmp_path / "models", "demo/smollm2-135m-instruct")
    install(tmp_path / "models", "local/mine")
    assert answers(tmp_path, "rm", "") == [
        "plain,demo/smollm2-135m-instruct",
        "plain,local/mine",
        "plain,demo",
    ]
    assert answers(tmp_path, "rm", "demo", "LOCAL") == ["plain,local/mine"]
    assert "plain,demo" not in answers(tmp_path, "rm", "demo", "")
    assert answers(tmp_path, "show", "qwen3-0") == []
    assert "plain,qwen3-0.6b" in answers(tmp_path, "run", "qwen3-0")
    assert answers(tmp_path, "run", "./che") == ["file,./che"]
    other = tmp_path / "other"
    assert answers(tmp_path, "--models-dir", str(other), "rm", "") == []
    assert not other.exists()


def test_commands_options_and_shells(tmp_path: Path) -> None:
    assert answers(tmp_path, "exp") == ["plain,export"]
    assert "plain,--threads" in answers(tmp_path, "run", "--th")
    assert answers(tmp_path, "list", "--sort", "d") == ["plain,date"]
    powershell = answers(tmp_path, "comp", shell="powershell")
    assert powershell == ["completion\tPrint the completion script of a shell."]
    fish = answers(tmp_path, "exp", shell="fish")
    assert fish[0].startswith("plain,export")
    for shell in ("bash", "zsh", "fish", "powershell"):
        ended = run_program("completion", shell, home=tmp_path)
        assert ended.code == 0
        assert "litert-lm-cli" in ended.out
        assert f"{shell}_complete" in ended.out
    unknown = run_program(home=tmp_path, _LITERT_LM_CLI_COMPLETE="sh_complete")
    assert (unknown.code, unknown.out.strip()) == (0, "")


def test_the_script_in_bash(tmp_path: Path) -> None:
    install(tmp_path / "models", "local/mine")
    program = tmp_path / "bin" / "litert-lm-cli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [
            "bash",
            "-c",
            'eval "$(litert-lm-cli completion bash)"; '
            "COMP_WORDS=(litert-lm-cli show l); COMP_CWORD=2; "
            '_litert_lm_cli_completion litert-lm-cli; echo "${COMPREPLY[*]}"',
        ],
        env=isolated_environment(tmp_path, PATH=f"{program.parent}:{os.environ['PATH']}"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "local/mine\n"
