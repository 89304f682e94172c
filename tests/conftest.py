"""What all tests share; the demo model, pulled once by the real program from the registry."""

from __future__ import annotations

import os

# Before numpy is imported: threads of OpenBLAS gain nothing on tiny models, and wait by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from converted import write_bundle
from litertlm.services.convert.options import ConvertOptions
from program import run_program
from shared import made_once

# A shared machine decides how long an example takes, so time is no verdict.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# A job in the background may run with signals ignored (nohup), which the programs under test would
# inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def demo_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the demo model, to be read only."""

    def pull(home: Path) -> None:
        ended = run_program("pull", "demo", home=home)
        assert ended.code == 0, ended.err

    return made_once(tmp_path_factory, "demo", pull) / "models"


@pytest.fixture
def demo_home(demo_models: Path, tmp_path: Path) -> Path:
    """A home of the test's own in which the demo model is on disk."""
    # Links are enough: the program replaces files, and never writes into one.
    shutil.copytree(demo_models, tmp_path / "models", copy_function=os.link)
    return tmp_path


@pytest.fixture(scope="session")
def demo_gguf(demo_models: Path) -> Path:
    """The demo model's checkpoint."""
    (path,) = demo_models.glob("demo/*/checkpoint/*.gguf")
    return path


@pytest.fixture(scope="session")
def demo_bundle(demo_models: Path) -> Path:
    """The demo model's bundle, to be read only."""
    (path,) = demo_models.glob("demo/*/*.litertlm")
    return path


@pytest.fixture(scope="session")
def demo_float_bundle(demo_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a float32 bundle."""
    options = ConvertOptions(recipe="none")
    folder = made_once(
        tmp_path_factory,
        "float",
        lambda folder: write_bundle(demo_gguf, folder / "float.litertlm", options),
    )
    return folder / "float.litertlm"
