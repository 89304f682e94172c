"""Python, packages, processor, memory and disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from litertlm import __version__
from litertlm.memory import free_memory, memory_limit
from litertlm.services.doctor.finding import Finding, Level
from litertlm.units import format_bytes

TESTED_RUNTIME = "0.18.1"
_RUNTIME = "litert-lm-api"
_FAST = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
_LITTLE_MEMORY, _LITTLE_DISK, _NO_DISK = 1_500_000_000, 5_000_000_000, 500_000_000


def examine_machine(models_dir: Path) -> Iterator[Finding]:
    """What this machine has."""
    yield Finding("version", Level.OK, f"litert-lm-cli {__version__}")
    yield Finding(
        "python", Level.OK, f"{platform.python_implementation()} {platform.python_version()}"
    )
    yield Finding("platform", Level.OK, f"{platform.platform(terse=True)}, {platform.machine()}")
    yield from _packages()
    yield _processor()
    yield _memory()
    yield _disk(models_dir)
    yield _rights(models_dir)


def _packages() -> Iterator[Finding]:
    try:
        needed = metadata.requires("litert-lm-cli") or []
    except metadata.PackageNotFoundError:
        needed = []
    found, missing = {}, []
    for requirement in needed:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if ";" in requirement:  # of another Python, or optional
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        text = f"missing: {', '.join(missing)}"
        yield Finding("packages", Level.PROBLEM, text, "Install litert-lm-cli again.")
    else:
        listed = ", ".join(f"{name} {version}" for name, version in found.items())
        yield Finding("packages", Level.OK, listed or "not known")
    runtime = found.get(_RUNTIME)
    if runtime is not None and runtime != TESTED_RUNTIME:
        yield Finding(
            "runtime version",
            Level.WARNING,
            f"{_RUNTIME} {runtime}; this program was tested with {TESTED_RUNTIME}",
            f"If answers are wrong: pip install {_RUNTIME}=={TESTED_RUNTIME}",
        )


def _processor() -> Finding:
    flags: set[str] = set()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.partition(":")[2].split())
                break
    fast = [name for name in _FAST if name in flags]
    text = f"{os.cpu_count()} cores, {', '.join(fast) if fast else 'features not known'}"
    if flags and platform.machine() in ("x86_64", "AMD64") and "avx2" not in flags:
        return Finding(
            "cpu", Level.WARNING, f"{text}, no AVX2", "Answers are several times slower."
        )
    return Finding("cpu", Level.OK, text)


def _memory() -> Finding:
    limit, free = memory_limit(), free_memory()
    if limit is None or free is None:
        return Finding("memory", Level.OK, "not known")
    text = f"{format_bytes(free)} free of {format_bytes(limit)} (limits of containers included)"
    if free < _LITTLE_MEMORY:
        return Finding("memory", Level.WARNING, text, "Close other programs, or raise the limit.")
    return Finding("memory", Level.OK, text)


def _disk(models_dir: Path) -> Finding:
    free = shutil.disk_usage(_existing(models_dir)).free
    text = f"{format_bytes(free)} free for models"
    fix = "litert-lm-cli prune --caches --checkpoints, or --models-dir on another disk."
    if free < _LITTLE_DISK:
        level = Level.PROBLEM if free < _NO_DISK else Level.WARNING
        return Finding("disk", level, text, fix)
    return Finding("disk", Level.OK, text)


def _rights(models_dir: Path) -> Finding:
    folder = _existing(models_dir)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            "models folder",
            Level.PROBLEM,
            f"{models_dir}: {error.strerror}",
            f"Make {folder} writable, or choose another folder with LITERT_LM_MODELS.",
            private=(str(models_dir), str(folder)),
        )
    return Finding("models folder", Level.OK, str(models_dir), private=(str(models_dir),))


def _existing(folder: Path) -> Path:
    return next(p for p in (folder, *folder.parents) if p.is_dir())
