"""Whether the runtime loads, and whether it can use a GPU; both in processes of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

from litertlm.bundle_format.info import read_bundle_info
from litertlm.errors import LiteRtLmError
from litertlm.services.doctor.finding import Finding, Level
from litertlm.services.processes import how_it_ended, module_command
from litertlm.settings import child_environment
from litertlm.store import Store

_SECONDS = 60


def examine_runtime(store: Store) -> Iterator[Finding]:
    """Load the runtime, and the smallest bundle with static shapes on the GPU."""
    failure = _failure("litertlm.runtime.load_probe")
    if failure is None:
        yield Finding("runtime", Level.OK, "its library loads")
    else:
        fix = "Install litert-lm-cli again, with a Python of 64 bits and a current system."
        yield Finding("runtime", Level.PROBLEM, failure, fix)
        return
    bundles = []
    for model in store.installed():
        try:
            if read_bundle_info(model.bundle).properties.get("shapes") == "static":
                bundles.append(model.bundle)
        except LiteRtLmError:  # another finding
            continue
    if not bundles:
        text = "not checked: no model on disk has static shapes, which a GPU needs"
        yield Finding("gpu", Level.OK, text)
        return
    smallest = min(bundles, key=lambda path: path.stat().st_size)
    failure = _failure("litertlm.runtime.gpu_probe", str(smallest))
    if failure is None:
        yield Finding("gpu", Level.OK, "can be used (run --backend gpu)")
    else:
        yield Finding("gpu", Level.OK, f"cannot be used: {failure}")


def _failure(module: str, *arguments: str) -> str | None:
    """Why a probe failed; None if it did not."""
    try:
        done = subprocess.run(
            module_command(module, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment(os.environ),
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_SECONDS} seconds"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines and done.returncode > 0 else how_it_ended(done.returncode)
