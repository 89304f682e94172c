"""The program as a subprocess, away from the user's home, models, tokens and terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import litertlm

PROGRAM = [sys.executable, "-m", "litertlm"]

# What pip needs to reach the package registry, and what any process needs.
_KEPT = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended."""

    code: int
    out: str
    err: str


def isolated_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which everything of the user lies below `home`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    # Only what was downloaded before is shared.
    kept.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    return {
        **kept,
        "HOME": str(home),
        "HF_HOME": str(home / "huggingface"),
        "LITERT_LM_MODELS": str(home / "models"),
        "PYTHONPATH": str(Path(litertlm.__file__).parents[1]),
        "COLUMNS": "100",
        **more,
    }


def workers(home: Path, module: str = "") -> list[int]:
    """Worker processes of programs with this home: all, or those of one module."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes()
            mine = f"HOME={home}\0".encode() in (process / "environ").read_bytes()
        except OSError:
            continue
        if mine and f"litertlm.services.worker.{module}".encode() in command:
            found.append(int(process.name))
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_program(
    *arguments: str | Path,
    home: Path,
    cwd: Path | None = None,
    stdin: str = "",
    **environment: str,
) -> Ended:
    """Run the program to its end; `environment` is added to the isolated one."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=isolated_environment(home, **environment),
        cwd=cwd or home,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
