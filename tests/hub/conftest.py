"""A Hub of the test's own, and the program as a subprocess that uses it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from hub.server import HubServer, file_hashes
from litertlm.store import BUNDLE_SUFFIX
from program import PROGRAM, Ended, isolated_environment
from stopping import wait_until

# Nothing between the program and 127.0.0.1, whatever the machine's proxies are.
NO_PROXIES = dict.fromkeys(("http_proxy", "https_proxy"), "") | {"no_proxy": "*", "NO_PROXY": "*"}

_IN_PIPES = 200_000  # bytes that the server may have sent before the program wrote them to a file


def bundle_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that begin like a bundle; the same for the same arguments."""
    pattern = bytes((i * 7 + seed) % 251 for i in range(4096))
    return (b"LITERTLM" + pattern * (size // len(pattern) + 1))[:size]


@dataclass
class World:
    """One user's machine, `home`, and the Hub that it can reach."""

    home: Path
    hub: HubServer
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def cwd(self) -> Path:
        return self.home / "work" / "here"

    @property
    def models(self) -> Path:
        return self.home / "models"

    def add(self, repo: str, files: dict[str, bytes | str], **settings: object) -> None:
        """Publish a repository on the Hub."""
        for name, content in files.items():
            path = self.hub.folder / repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if settings:
            self.hub.configure(repo, **settings)

    def start(
        self, *arguments: str, stderr: int | IO[str] = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        variables = {"HF_ENDPOINT": self.hub.url, **NO_PROXIES, **self.environment, **environment}
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env=isolated_environment(self.home, **variables),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> Ended:
        process = self.start(*arguments, **environment)
        out, err = process.communicate()
        return Ended(process.returncode, out, err)

    def kill_in_download(self, repo: str, have: int = 1) -> None:
        """Pull `repo` and kill that when it has `have` bytes of a file, while more is to come.

        The Hub holds back what is left; the repository's other settings are lost.
        """
        parts = self.folder(repo).rglob(".download/*.part")
        missing = have - max((part.stat().st_size for part in parts), default=0)
        self.hub.configure(repo, hold=self.hub.bytes_sent + missing + _IN_PIPES)
        process = self.start("pull", repo)
        wait_until(lambda: self.part_has(repo, have), process, f"{have} bytes were on disk")
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert self.bundles(repo) == []

    def part_has(self, repo: str, size: int, name: str = "*") -> bool:
        """Whether `size` bytes or more of an unfinished file of `repo` are on disk.

        Args:
            name: pattern of the file's name.
        """
        parts = self.folder(repo).rglob(f".download/*-{name}.part")
        return any(p.stat().st_size >= size for p in parts)

    def folder(self, repo: str) -> Path:
        return self.models / repo

    def bundles(self, repo: str) -> list[Path]:
        return sorted(self.folder(repo).glob(f"*{BUNDLE_SUFFIX}"))

    def everything(self) -> list[str]:
        """All files of the user's machine, relative to `home`."""
        return sorted(str(p.relative_to(self.home)) for p in self.home.rglob("*") if not p.is_dir())

    def is_published(self, path: Path, repo: str, name: str | None = None) -> bool:
        """Whether `path` holds exactly the published file."""
        return file_hashes(path) == file_hashes(self.hub.folder / repo / (name or path.name))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder, home = tmp_path / "hub", tmp_path / "home"
    folder.mkdir()
    with HubServer(folder) as hub:
        made = World(home, hub)
        made.cwd.mkdir(parents=True)
        yield made
