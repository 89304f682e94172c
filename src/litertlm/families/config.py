"""Reading config.json so that every value is used, checked, or refused by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.errors import UnsupportedModel


@dataclass(frozen=True)
class ConfigReader:
    """Typed access to a config.json; every error names the key.

    Attributes:
        values: the parsed config.json (or the `text_config` of a multimodal one).
        prefix: what stands before a key in messages, e.g. `text_config.`.
    """

    values: Mapping[str, Any]
    prefix: str = ""

    def has(self, key: str) -> bool:
        """The key is there and not null."""
        return self.values.get(key) is not None

    def size(self, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.values.get(key)
        if value is None and default is not None:
            value = default
        if value is None:
            raise self.refuse(key, "is missing")
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise self.refuse(key, f"is {value!r}, but must be a positive integer")
        return value

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refuse(key, f"is {value!r}, but must be a number")
        if value != value or abs(value) == float("inf"):
            raise self.refuse(key, f"is {value!r}, but must be finite")
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(key, f"is {value!r}, but must be true or false")
        return value

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """A string, one of `known`."""
        value = self.values.get(key)
        if value is None:
            return default
        if value not in known:
            raise self.refuse(key, f"is {value!r}; known are {', '.join(known)}")
        return str(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """An object; missing and null are empty."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.refuse(key, f"is {value!r}, but must be an object")
        return value

    def refuse(self, key: str, problem: str) -> UnsupportedModel:
        """The error for a key that cannot be done right."""
        return UnsupportedModel(
            "This checkpoint cannot be converted faithfully.",
            why=f"config.json: {self.prefix}{key} {problem}.",
        )
