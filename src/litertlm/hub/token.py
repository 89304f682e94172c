"""The sources of the Hugging Face token. Its value is never printed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from litertlm.errors import AccessDenied

TOKEN_PAGE = "https://huggingface.co/settings/tokens"
HOW_TO_SET_TOKEN = (
    f"A token comes from {TOKEN_PAGE}: set HF_TOKEN to it, or save it\n"
    "in a file HF_TOKEN in this folder."
)


@dataclass(frozen=True)
class Token:
    """A token and its source, for messages. `repr` omits the value.

    Attributes:
        path: of the file that it was read from.
    """

    value: str = field(repr=False)
    source: str
    path: Path | None = None

    @property
    def readable_by_others(self) -> bool:
        """Whether the file is open to other users of this machine."""
        if self.path is None or os.name != "posix":
            return False
        try:
            return bool(self.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            return False


def find_token(
    environment: Mapping[str, str], cwd: Path, *, given: str | None = None
) -> Token | None:
    """The first of: `given` (`--token`); the variable `HF_TOKEN`; a file `HF_TOKEN` in `cwd`; one
    in its parent; the variable `HUGGING_FACE_HUB_TOKEN`; the stored login of huggingface_hub.
    Surrounding white space is removed, and empty values are ignored.

    Raises:
        AccessDenied: a token file cannot be read, or its content cannot be a token.
    """
    if given is not None:
        return _checked(given.strip(), "--token")
    if value := environment.get("HF_TOKEN", "").strip():
        return _checked(value, "the variable HF_TOKEN")
    for path in (cwd / "HF_TOKEN", cwd.parent / "HF_TOKEN"):
        if path.is_file() and (value := _read(path)):
            return _checked(value, f"the file {path}", path)
    # huggingface_hub's former name for the variable; cli/ has removed both from the process.
    if value := environment.get("HUGGING_FACE_HUB_TOKEN", "").strip():
        return _checked(value, "the variable HUGGING_FACE_HUB_TOKEN")
    from huggingface_hub import constants, get_token

    stored = Path(constants.HF_TOKEN_PATH)
    with _unreadable(stored):
        value = (get_token() or "").strip()
    if value:
        # The file may not be where it came from, but is the one that would be.
        file = stored if stored.is_file() else None
        return _checked(value, "the stored login of huggingface_hub", file)
    return None


def _read(path: Path) -> str:
    with _unreadable(path):
        return path.read_text(encoding="utf-8-sig", errors="replace").strip()


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """Turn an error of reading the token file `path` into this program's."""
    try:
        yield
    except OSError as error:
        raise AccessDenied(
            f"Cannot read the token file {path}.",
            why=error.strerror or "",
            hint=f"Make it readable (chmod 600 {path}), or remove it: open models need no token.",
        ) from error


def _checked(value: str, source: str, path: Path | None = None) -> Token:
    """Check that a token can be sent in a header: an error while sending might print it."""
    if not (value and value.isascii() and value.isprintable() and " " not in value):
        raise AccessDenied(
            f"The content of {source} is not a Hugging Face token.",
            why="A token is one word of letters, digits and underscores.",
            hint=HOW_TO_SET_TOKEN,
        )
    return Token(value, source, path)
