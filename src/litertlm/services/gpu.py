"""Whether the GPU that the user asked for can be used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from litertlm.progress import Progress
from litertlm.runtime.engine import EngineOptions


def gpu_or_cpu(bundle: Path, options: EngineOptions, progress: Progress) -> EngineOptions:
    """`options` if a child process can load the bundle on the GPU, else the same for the CPU.

    In a child: a driver that is missing or broken may well end the process.
    """
    command = [sys.executable, "-m", "litertlm.runtime.gpu_probe", str(bundle)]
    if options.cache_dir is not None:
        command.append(str(options.cache_dir))
    probe = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if probe.returncode == 0:
        return options
    lines = [line for line in (probe.stderr + probe.stdout).splitlines() if line.strip()]
    reason = lines[-1] if lines else f"the probe ended with code {probe.returncode}"
    progress.warn(f"No GPU can be used here, so the CPU is: {reason}")
    progress.detail(probe.stderr)
    return replace(options, backend="cpu")
