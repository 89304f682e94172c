"""Which folder the models are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from litertlm.settings import load_settings


def test_order_of_the_models_folders(tmp_path: Path) -> None:
    environment = {"LITERT_LM_CLI_CLONE": "/clone", "LITERT_LM_MODELS": "~/m", "HOME": "/home/me"}
    chosen = load_settings(environment, cwd=tmp_path, models_dir="here")
    assert chosen.models_dir == tmp_path / "here"
    assert load_settings(environment, cwd=tmp_path).models_dir == Path("~/m").expanduser()
    del environment["LITERT_LM_MODELS"]
    assert load_settings(environment, cwd=tmp_path).models_dir == Path("/clone/models")
    del environment["LITERT_LM_CLI_CLONE"]
    assert load_settings(environment, cwd=tmp_path).models_dir.parts[-2:] == (
        "litert-lm-cli",
        "models",
    )
    (tmp_path / "models").mkdir()
    assert load_settings(environment, cwd=tmp_path).models_dir == tmp_path / "models"


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("ON", True), ("0", False), ("", False)]
)
def test_offline(value: str, offline: bool, tmp_path: Path) -> None:
    assert load_settings({"HF_HUB_OFFLINE": value}, cwd=tmp_path).offline is offline
    assert not load_settings({}, cwd=tmp_path).offline


def test_paths_are_shown_relative_to_the_current_folder_when_below_it(tmp_path: Path) -> None:
    settings = load_settings({}, cwd=tmp_path)
    assert settings.shown(tmp_path / "models" / "x") == "models/x"
    assert settings.shown(Path("/elsewhere/x")) == "/elsewhere/x"
