"""A really full disk: a tmpfs of a few megabytes, filled so that little is free.

    sudo PYTHONPATH=src:tests python -m chaos.small_disk

Needs root, for mount, and so is no part of `make test`; chaos/faults.py covers each single write
without it. Every command must end with code 6 and one error, or be done; nothing that was there may
be lost; and the same command must succeed when there is space again. The exit code is 1 when
something was wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.__main__ import hub
from chaos.scenarios import BUNDLE_REPO, CHECKPOINT_REPO, LOCAL
from chaos.stages import sha256, tree
from program import Ended, run_program
from tiny import MODELS, write_checkpoint

_MEGABYTES = 100  # downloads want 64 MB free
# Bytes that are free when a command begins; the tiny models' files have 2 kB to 300 kB.
_FREE = (0, 4096, 16384, 65536, 131_072, 262_144, 4_500_000)
NO_RESOURCES = 6


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A tmpfs of `_MEGABYTES` at `folder`."""
    folder.mkdir(parents=True)
    options = f"size={_MEGABYTES}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@dataclass
class SmallDisk:
    """Commands on the small disk.

    Attributes:
        outcomes: by command and exit code.
        problems: what was wrong.
    """

    home: Path
    address: str
    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def models(self) -> Path:
        return self.home / "models"

    def run(self, *command: str) -> Ended:
        """Run the program, with everything that it writes on the small disk."""
        return run_program(
            *command,
            home=self.home,
            HF_ENDPOINT=self.address,
            XDG_STATE_HOME=str(self.models / "state"),
        )

    @contextmanager
    def free(self, nbytes: int) -> Iterator[None]:
        """Fill the disk up to `nbytes`."""
        filler = self.models / "filler"
        disk = os.statvfs(self.models)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - nbytes))
        try:
            yield
        finally:
            filler.unlink()

    def wrong(self, command: tuple[str, ...], nbytes: int, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{' '.join(command)} with {nbytes} bytes free: {problem}")

    def check(self, *command: str, kept: Path | None = None) -> None:
        """Run a command with more and more space.

        Args:
            kept: a file that must stay, or become what the command makes of it.
        """
        for nbytes in _FREE:
            before = kept.read_bytes() if kept else b""
            names = tree(self.models)
            shutil.rmtree(self.models / LOCAL / "cache", ignore_errors=True)
            with self.free(nbytes):
                ended = self.run(*command)
            self.outcomes[command[0], ended.code] += 1
            if ended.code not in (0, NO_RESOURCES) or "Internal error" in ended.err:
                self.wrong(command, nbytes, f"exit code {ended.code}: {ended.err[-400:]}")
            if ended.code and (ended.err.count("✗") != 1 or "Traceback" in ended.err):
                self.wrong(command, nbytes, f"not one error: {ended.err[-400:]}")
            if ended.code and kept and kept.read_bytes() != before:
                self.wrong(command, nbytes, f"{kept.name} was changed")
            new = {n for n in tree(self.models) - names if n.endswith(".litertlm")}
            if ended.code and any(not n.rpartition("/")[2].startswith(".") for n in new):
                self.wrong(command, nbytes, f"failed, and left {sorted(new)}")
            again = self.run(*command)
            if again.code:
                self.wrong(command, nbytes, f"then fails with space: {again.err[-400:]}")

    def check_new(self, model: str, *command: str) -> None:
        """Run a command that makes a bundle, which must be the same every time."""
        made = set()
        for nbytes in _FREE:
            self.run("rm", model)
            with self.free(nbytes):
                ended = self.run(*command)
            self.outcomes[f"{command[0]} {model}", ended.code] += 1
            found = [p for p in (self.models / model).glob("*.litertlm") if p.name[0] != "."]
            if ended.code not in (0, NO_RESOURCES):
                self.wrong(command, nbytes, f"exit code {ended.code}: {ended.err[-400:]}")
            if bool(found) != (ended.code == 0):
                self.wrong(command, nbytes, f"exit code {ended.code}, and there is {found}")
            if ended.code and (ended.err.count("✗") != 1 or "Internal" in ended.err):
                self.wrong(command, nbytes, f"not one error: {ended.err[-400:]}")
            if (again := self.run(*command)).code:
                self.wrong(command, nbytes, f"then fails with space: {again.err[-400:]}")
            made |= {sha256(p) for p in (self.models / model).glob("[!.]*.litertlm")}
        if len(made) != 1:
            self.problems.append(f"{' '.join(command)} made {len(made)} different bundles")


def main() -> int:
    """See the module's docstring."""
    if os.geteuid() != 0:
        sys.exit("chaos.small_disk needs root, to mount a small disk.")
    with tempfile.TemporaryDirectory(prefix="small-disk-") as name:
        folder = Path(name).resolve()
        write_checkpoint(MODELS["llama-gqa-tied"], folder / "hub" / CHECKPOINT_REPO)
        checkpoint = write_checkpoint(MODELS["llama-gqa-tied"], folder / "home" / "checkpoint")
        with small_disk(folder / "home" / "models"), hub(folder / "hub") as address:
            disk = SmallDisk(folder / "home", address)
            convert = ("convert", str(checkpoint), "--no-check")
            disk.check_new(LOCAL, *convert)
            ready = folder / "hub" / BUNDLE_REPO / "ready.litertlm"
            ready.parent.mkdir(parents=True)
            (made,) = (disk.models / LOCAL).glob("*.litertlm")
            ready.write_bytes(made.read_bytes())
            disk.check_new(CHECKPOINT_REPO, "pull", CHECKPOINT_REPO)
            disk.check_new(BUNDLE_REPO, "pull", BUNDLE_REPO)
            disk.check(*convert, "--force", kept=made)
            disk.check("run", LOCAL, "--prompt", "a", "--max-tokens", "2", kept=made)
            disk.check("config", "set", LOCAL, "temperature", "0.5")
            disk.check("config", "set", LOCAL, "top_k", "7", kept=disk.models / "config.toml")
    for (command, code), number in sorted(disk.outcomes.items()):
        print(f"{command:30}{code:4}{number:5}")
    print(json.dumps(disk.problems, indent=1))
    return int(bool(disk.problems))


if __name__ == "__main__":
    sys.exit(main())
