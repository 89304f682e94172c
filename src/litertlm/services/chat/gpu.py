"""Whether the GPU that the user asked for can be used."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from litertlm.bundle_format.info import BundleInfo
from litertlm.progress import Progress
from litertlm.runtime.engine import EngineOptions
from litertlm.runtime.stderr_capture import informative_lines
from litertlm.settings import child_environment

_STATUS = re.compile(r"\b(?:INTERNAL|UNAVAILABLE|NOT_FOUND|UNIMPLEMENTED|INVALID_ARGUMENT): (.+)")


def gpu_or_cpu(
    bundle: Path, info: BundleInfo, options: EngineOptions, progress: Progress
) -> EngineOptions:
    """`options` if a child process can load the bundle on the GPU, else the same for the CPU.

    In a child: a driver that is missing or broken may well end the process.
    """
    on_cpu = replace(options, backend="cpu")
    if info.properties.get("shapes") == "dynamic":
        progress.warn(
            f"{bundle.name} has dynamic shapes, which no GPU runs, so the CPU does; "
            "`run --backend gpu --reconvert` makes static ones."
        )
        return on_cpu
    command = [sys.executable, "-m", "litertlm.runtime.gpu_probe", str(bundle)]
    if options.cache_dir is not None:
        command.append(str(options.cache_dir))
    probe = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=child_environment(os.environ),
    )
    if probe.returncode == 0:
        return options
    progress.warn(f"No GPU can be used here, so the CPU is: {_reason(probe)}")
    progress.detail(probe.stderr)
    return on_cpu


def _reason(probe: subprocess.CompletedProcess[str]) -> str:
    if probe.returncode < 0:
        return f"its driver crashed ({signal.strsignal(-probe.returncode)})."
    lines = informative_lines(probe.stderr)
    # What went wrong first; the lines after it only pass it on.
    first = next(filter(None, map(_STATUS.search, lines)), None)
    if first:
        return first[1]
    return lines[-1] if lines else f"the probe ended with code {probe.returncode}."
