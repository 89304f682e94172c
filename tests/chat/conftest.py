"""The demo model with a warm runtime cache, and chats in pseudo-terminals."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminal import Terminal

from program import run_program
from shared import made_once


@pytest.fixture(scope="session")
def warm_models(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the demo model and the runtime's cache; tests must not change it."""

    def warm(home: Path) -> None:
        shutil.copytree(demo_models, home / "models", copy_function=os.link)
        ended = run_program("run", "demo", "--prompt", "Hi", "--max-tokens", "1", home=home)
        assert ended.code == 0, ended.err

    return made_once(tmp_path_factory, "warm", warm) / "models"


@pytest.fixture
def home(warm_models: Path, tmp_path: Path) -> Path:
    """A temporary home with the demo model, which uses one thread: tests run on every core."""
    shutil.copytree(warm_models, tmp_path / "models", copy_function=os.link)
    config = '[models."demo/smollm2-135m-instruct"]\nthreads = 1\n'
    (tmp_path / "models/config.toml").write_text(config)
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Terminal]]:
    """Start chats in pseudo-terminals, which are closed after the test."""
    started: list[Terminal] = []

    def run(*arguments: str, model: str = "demo", **more: str) -> Terminal:
        started.append(Terminal("run", model, *arguments, home=home, **more))
        return started[-1]

    yield run
    for terminal in started:
        terminal.close()
