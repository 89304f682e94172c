"""Names of models on disk: `org/name`, safe as folder names on every file system."""

from __future__ import annotations

import re
from dataclasses import dataclass

from litertlm.errors import UsageError

BUNDLE_SUFFIX = ".litertlm"

# The characters that the Hub allows in repository names; the rule for the
# first one excludes hidden files, options and `..`.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, order=True)
class ModelName:
    """`org/name`, validated: as a path it stays inside of the models folder."""

    org: str
    name: str

    def __str__(self) -> str:
        return f"{self.org}/{self.name}"


def parse_name(text: str) -> ModelName:
    """The model name in `text`.

    Raises:
        UsageError: `text` is not `org/name` in letters, digits, `.`, `_` and `-`.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(is_name_part(part) for part in parts):
        raise UsageError(
            f"Not a model name: {text!r}.",
            hint="A model name is org/name, such as google/gemma-3-270m.",
        )
    return ModelName(*parts)


def is_name_part(part: str) -> bool:
    """Whether `part` can be the `org` or the `name` of a model."""
    return _PART.fullmatch(part) is not None and ".." not in part and not part.endswith(".")


def safe_part(text: str) -> str:
    """A valid `name` made from `text`, the name of a folder or a file."""
    cleaned = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", text)).strip(".-")
    return cleaned[:96].rstrip(".-") or "model"
