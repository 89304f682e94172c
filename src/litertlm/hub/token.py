"""The sources of the Hugging Face token. Its value is never printed."""

from __future__ import annotations

from collections.abc import Mapping
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
    """A token and its source, for messages. `repr` omits the value."""

    value: str = field(repr=False)
    source: str


def find_token(
    environment: Mapping[str, str], cwd: Path, *, given: str | None = None
) -> Token | None:
    """The first of: `given` (`--token`); the variable `HF_TOKEN`; a file `HF_TOKEN` in `cwd`; one
    in its parent; the stored login of huggingface_hub. Surrounding white space is removed, and
    empty values are ignored.

    Raises:
        AccessDenied: a token file cannot be read, or its content cannot be a token.
    """
    if given is not None:
        return _checked(given.strip(), "--token")
    if value := environment.get("HF_TOKEN", "").strip():
        return _checked(value, "the variable HF_TOKEN")
    for path in (cwd / "HF_TOKEN", cwd.parent / "HF_TOKEN"):
        if path.is_file() and (value := _read(path)):
            return _checked(value, f"the file {path}")
    from huggingface_hub import get_token

    if value := (get_token() or "").strip():
        return _checked(value, "the stored login of huggingface_hub")
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace").strip()
    except OSError as error:
        raise AccessDenied(
            f"Cannot read the token file {path}.", why=error.strerror or ""
        ) from error


def _checked(value: str, source: str) -> Token:
    """Check that a token can be sent in a header: an error while sending might print it."""
    if not (value and value.isascii() and value.isprintable() and " " not in value):
        raise AccessDenied(
            f"The content of {source} is not a Hugging Face token.",
            why="A token is one word of letters, digits and underscores.",
            hint=HOW_TO_SET_TOKEN,
        )
    return Token(value, source)
