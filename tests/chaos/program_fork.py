"""Runs of the program that begin as a copy of this process, in which its modules are loaded.

A thousand runs need not import numpy a thousand times. The copy is a process of its own session,
so that what it leaves behind can be found.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
_SECONDS = 120  # after which a run counts as one that never ends


@dataclass(frozen=True)
class World:
    """The folders of the runs: `home` holds everything of the user."""

    home: Path

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def temporary(self) -> Path:
        return self.home / "tmp"


def set_up(home: Path, **variables: str) -> World:
    """Give this process the environment of the runs."""
    world = World(home)
    world.temporary.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        HOME=str(home),
        HF_HOME=str(home / "huggingface"),
        LITERT_LM_MODELS=str(world.models),
        TMPDIR=str(world.temporary),
        OPENBLAS_NUM_THREADS="1",
        no_proxy="*",
        NO_PROXY="*",
        COLUMNS="100",
        **variables,
    )
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        os.environ.pop(name, None)
    tempfile.tempdir = None
    if sys.platform == "linux":
        # What a killed run leaves behind becomes a child of this process, and can be waited for.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return world


def load(world: World, *arguments: str) -> Run:
    """Run the program once, and import here what it imported there."""
    names = world.home / "modules"

    def write_names() -> None:
        leave = os._exit

        def write_and_leave(code: int) -> None:
            names.write_text("\n".join(sorted(sys.modules)))
            leave(code)

        os._exit = write_and_leave  # type: ignore[assignment]

    ended = run(world, *arguments, prepare=write_names)
    for name in names.read_text().split():
        with suppress(ImportError):
            importlib.import_module(name)
    return ended


@dataclass
class Run:
    """A started run of the program."""

    pid: int
    arguments: tuple[str, ...]
    out_file: Path
    err_file: Path
    status: int | None = None

    @property
    def out(self) -> str:
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        return self.err_file.read_text()

    @property
    def was_killed(self) -> bool:
        return self.status is not None and os.WIFSIGNALED(self.status)

    @property
    def code(self) -> int:
        """The exit code; the negative number of the signal that ended it."""
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)


_started = 0


def start(world: World, *arguments: str, prepare: Callable[[], None] = lambda: None) -> Run:
    """Start the program.

    Args:
        prepare: called in the new process first.
    """
    global _started
    _started += 1
    logs = world.home / "logs"
    logs.mkdir(exist_ok=True)
    name = f"{_started % 16}"
    run = Run(0, arguments, logs / f"{name}.out", logs / f"{name}.err")
    sys.stdout.flush()
    sys.stderr.flush()
    run.pid = os.fork()
    if run.pid:
        return run
    try:
        os.setsid()
        _redirect(0, os.devnull, os.O_RDONLY)
        _redirect(1, run.out_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        _redirect(2, run.err_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.chdir(world.home)
        sys.argv = ["litert-lm-cli", *arguments]
        from litertlm.__main__ import run as run_program

        prepare()
        run_program()
    except BaseException:  # noqa: BLE001 - the copy of this process ends here
        traceback.print_exc()
    finally:
        os._exit(99)


def _redirect(number: int, path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags, 0o600)
    os.dup2(descriptor, number)
    os.close(descriptor)


def wait_for_any(runs: Sequence[Run]) -> Run:
    """Wait until one of the runs has ended.

    Raises:
        TimeoutError: none ends.
    """
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        for run in runs:
            if run.status is None:
                pid, status = os.waitpid(run.pid, os.WNOHANG)
                if pid:
                    run.status = status
                    return run
        time.sleep(0.0005)
    raise TimeoutError(f"{[run.arguments for run in runs]} do not end")


def run(world: World, *arguments: str, prepare: Callable[[], None] = lambda: None) -> Run:
    """Run the program to its end."""
    started = start(world, *arguments, prepare=prepare)
    wait_for_any([started])
    return started


def wait_for_group(run: Run, seconds: float = 30.0) -> bool:
    """Whether all processes that the run has started end by themselves."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return True
        with suppress(ChildProcessError):
            os.waitpid(-run.pid, os.WNOHANG)
        time.sleep(0.002)
    return False
