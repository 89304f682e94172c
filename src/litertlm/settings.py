"""Environment variables, the current folder and the models folder.

Nothing here is read at import: `cli/` passes the environment and the folder in.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MODELS_VARIABLE = "LITERT_LM_MODELS"
CLONE_VARIABLE = "LITERT_LM_CLI_CLONE"  # set by the launcher: the clone that it is in

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_SHORTEST_TOKEN, _LONGEST_TOKEN = 6, 10_000  # characters; bytes of a file


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


# What a process needs that runs native code over files from outside: to find programs, libraries,
# packages, temporary folders and graphics drivers, and to print in the user's language.
_CHILD_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "LANG", "LANGUAGE", "TZ"),
        *("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "XDG_DATA_DIRS"),
    }
)
_CHILD_PREFIXES = (
    *("LC_", "LD_", "DYLD_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "RAYON_", "TOKENIZERS_"),
    *("CUDA_", "NVIDIA_", "VK_", "MESA_", "LIBGL_", "EGL_", "__EGL_", "__GL"),
)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a process that runs native code over files from outside; no token."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _CHILD_VARIABLES or name.upper().startswith(_CHILD_PREFIXES)
    }


def take_tokens(environment: MutableMapping[str, str]) -> dict[str, str]:
    """A copy of the process's environment, whose tokens are removed from the process itself.

    Native code of the runtime, and programs that are started, find no token in it.

    Args:
        environment: `os.environ`, whose changes reach the C library's `getenv`.
    """
    taken = dict(environment)
    for name in TOKEN_VARIABLES:
        environment.pop(name, None)
    return taken


def known_tokens(environment: Mapping[str, str]) -> frozenset[str]:
    """Every Hugging Face token that this user may have, whichever is used; for hiding them.

    The variables and files of hub/token.py, and where huggingface_hub keeps its login.
    """
    home = Path(environment.get("HF_HOME") or _cache_home(environment) / "huggingface")
    stored = Path(environment.get("HF_TOKEN_PATH") or home / "token")
    found = {environment.get(name, "").strip() for name in TOKEN_VARIABLES}
    for path in (Path("HF_TOKEN"), Path("..") / "HF_TOKEN", stored.expanduser()):
        with suppress(OSError):
            if path.is_file() and path.stat().st_size < _LONGEST_TOKEN:
                found.add(path.read_text(encoding="utf-8-sig", errors="replace").strip())
    # A shorter one would replace ordinary words.
    return frozenset(token for token in found if len(token) >= _SHORTEST_TOKEN)


def _cache_home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _models_dir(environment: Mapping[str, str], cwd: Path, option: str | None) -> Path:
    if chosen := option or environment.get(MODELS_VARIABLE):
        return cwd / Path(chosen).expanduser()
    if clone := environment.get(CLONE_VARIABLE):
        return Path(clone) / "models"
    if (cwd / "models").is_dir():
        return cwd / "models"
    from platformdirs import user_data_path  # 25 ms that users of the launcher save

    return user_data_path("litert-lm-cli", appauthor=False) / "models"
