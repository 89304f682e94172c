"""`./litert-lm-cli` in a copy of this tree that nobody has used before."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from program import isolated_environment

ROOT = Path(__file__).parents[2]
VERSION = "litert-lm-cli 0.1.0\n"


def start(program: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    isolated = isolated_environment(cwd, **environment)
    del isolated["LITERT_LM_MODELS"], isolated["PYTHONPATH"]
    return subprocess.Popen(
        [program, *arguments],
        env=isolated,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(program: Path, *arguments: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    process = start(program, *arguments, cwd=cwd, **environment)
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what git knows or would take, in a folder with a space in its name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    clone = tmp_path / "a clone"
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    return clone


def test_from_a_fresh_clone(clone: Path, tmp_path: Path, demo_models: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    program = elsewhere / "llm"
    program.symlink_to(Path("..") / "a clone" / "litert-lm-cli")

    # A set-up that is interrupted is not taken for one.
    interrupted = start(program, "--version", cwd=elsewhere)
    while not (clone / ".venv").exists():
        time.sleep(0.01)
    os.killpg(interrupted.pid, signal.SIGINT)
    out, err = interrupted.communicate()
    assert (interrupted.returncode, out) == (130, "")
    assert err.startswith("Setting up litert-lm-cli in")
    assert err.endswith("Interrupted.\n")
    assert not os.path.lexists(clone / ".venv.lock")

    # Nor is one that was killed, and its lock is not waited for.
    (clone / ".venv.lock").symlink_to(str(interrupted.pid))

    # Two at once: one works, the other waits, both do their job.
    both = [start(program, "--version", cwd=elsewhere) for _ in range(2)]
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert [out for out, _ in ended] == [VERSION, VERSION]
    assert sorted("Waiting for another" in err for _, err in ended) == [False, True]
    assert sum("✓ litert-lm-cli is set up" in err for _, err in ended) == 1

    # Set up: no word, and nothing in the environment is touched.
    made = (clone / ".venv" / "made-from").stat().st_mtime_ns
    assert run(program, "--version", cwd=elsewhere) == (0, VERSION, "")
    assert (clone / ".venv" / "made-from").stat().st_mtime_ns == made

    # The models are the clone's, and a module in the current folder is not imported.
    (elsewhere / "click.py").write_text("raise SystemExit('not me')")
    code, out, err = run(program, "list", cwd=elsewhere)
    assert (code, out) == (0, "")
    assert err.startswith(f"No models in {clone}/models.\n")

    # The commands of README.md for scripts, as they are written there.
    shutil.copytree(demo_models, clone / "models", copy_function=os.link, dirs_exist_ok=True)
    _, commands, *_ = re.findall(
        r"^```sh\n(.*?)^```", (clone / "README.md").read_text(), re.M | re.S
    )
    code, out, err = run(Path("/bin/bash"), "-ec", commands, cwd=clone)
    assert (code, out) == (0, 2 * "The capital of France is Paris.\n"), err

    # Other pins: another environment.
    with (clone / "constraints.txt").open("a") as pins:
        pins.write("# changed\n")
    again = start(program, "--version", cwd=elsewhere)
    assert again.stderr is not None
    assert again.stderr.readline().startswith("Setting up litert-lm-cli")
    os.killpg(again.pid, signal.SIGTERM)
    again.communicate()
    assert again.returncode == 130


def only_with(tools: Path, python: str) -> str:
    """A PATH of the usual tools and the given stand-in for python3."""
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "ln", "mv", "readlink", "rm", "sleep", "tail"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    (tools / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (tools / "python3").chmod(0o755)
    return str(tools)


def test_no_suitable_python(clone: Path, tmp_path: Path) -> None:
    old = 'case $1 in --version) echo "Python 3.9.1" ;; *) exit 1 ;; esac'
    path = only_with(tmp_path / "tools", old)
    code, out, err = run(clone / "litert-lm-cli", "list", cwd=tmp_path, PATH=path)
    assert (code, out) == (1, "")
    assert "✗ Python 3.10 to 3.15 is required.\n\nFound: Python 3.9.1." in err
    assert not os.path.lexists(clone / ".venv.lock")


def test_python_without_venv(clone: Path, tmp_path: Path) -> None:
    path = only_with(tmp_path / "tools", "case $2 in *ensurepip*) exit 1 ;; esac")
    code, out, err = run(clone / "litert-lm-cli", "list", cwd=tmp_path, PATH=path)
    assert (code, out) == (1, "")
    assert "✗ python3 does not have the venv module." in err
    assert "apt install python3-venv" in err


def test_a_package_registry_that_cannot_be_reached(clone: Path, tmp_path: Path) -> None:
    code, out, err = run(
        clone / "litert-lm-cli",
        "list",
        cwd=tmp_path,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        PIP_CONFIG_FILE=os.devnull,
        UV_OFFLINE="1",
        UV_NO_CACHE="1",
    )
    assert (code, out) == (1, "")
    assert "✗ Could not set up the environment.\n\nThe complete log is in" in err
    assert not (clone / ".venv" / "made-from").exists()
