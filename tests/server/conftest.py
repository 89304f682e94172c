"""The program's server with the demo model, once for all tests here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import PROGRAM, isolated_environment


@pytest.fixture(scope="session")
def server_url(demo_models: Path) -> Iterator[str]:
    """Its address, such as `http://127.0.0.1:41234`."""
    with running(demo_models.parent, "demo", "--threads", "2") as url:
        yield url


class running:
    """A server in a context; its process ends with it."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", *arguments, "--port", "0"],
            env=isolated_environment(home, **environment),
            cwd=home,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> str:
        assert self.process.stderr is not None
        printed = ""
        for line in self.process.stderr:
            printed += line
            if found := re.search(r"Listening on (http://\S+)", line):
                return found[1]
        pytest.fail(printed)

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
