"""Environment variables, the current folder and the models folder.

Nothing here is read at import: `cli/` passes the environment and the folder in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODELS_VARIABLE = "LITERT_LM_MODELS"
CLONE_VARIABLE = "LITERT_LM_CLI_CLONE"  # set by the launcher: the clone that it is in


@dataclass(frozen=True)
class Settings:
    """Where things are and what the environment asks for.

    Attributes:
        models_dir: root of the models on disk; it may not exist yet.
        cwd: the current folder, which relative arguments refer to.
        environment: the environment variables.
    """

    models_dir: Path
    cwd: Path
    environment: Mapping[str, str]

    @property
    def offline(self) -> bool:
        """Whether `HF_HUB_OFFLINE` forbids the network (as huggingface_hub reads it)."""
        value = self.environment.get("HF_HUB_OFFLINE", "")
        return value.upper() in {"1", "ON", "YES", "TRUE"}

    @property
    def config_file(self) -> Path:
        """The per-model defaults (`config set`), beside the models."""
        return self.models_dir / "config.toml"

    @property
    def history_file(self) -> Path:
        """The messages that were typed in chats."""
        from platformdirs import user_state_path

        return user_state_path("litert-lm-cli", appauthor=False) / "history"

    def shown(self, path: Path) -> str:
        """`path` as messages show it: relative when it is below the current folder."""
        try:
            return str(path.relative_to(self.cwd))
        except ValueError:
            return str(path)


def load_settings(
    environment: Mapping[str, str], *, cwd: Path, models_dir: str | None = None
) -> Settings:
    """Settings from the environment and the `--models-dir` option.

    The models folder is the first of: `models_dir`, `LITERT_LM_MODELS`, `models/` of the clone
    whose launcher was started, an existing `./models`, the user's data folder.
    """
    return Settings(
        models_dir=_models_dir(environment, cwd, models_dir), cwd=cwd, environment=environment
    )


def _models_dir(environment: Mapping[str, str], cwd: Path, option: str | None) -> Path:
    if chosen := option or environment.get(MODELS_VARIABLE):
        return cwd / Path(chosen).expanduser()
    if clone := environment.get(CLONE_VARIABLE):
        return Path(clone) / "models"
    if (cwd / "models").is_dir():
        return cwd / "models"
    from platformdirs import user_data_path  # 25 ms that users of the launcher save

    return user_data_path("litert-lm-cli", appauthor=False) / "models"
