"""Reading config.json so that every value is used, or reported as not supported by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.errors import UnsupportedModel


@dataclass(frozen=True)
class ConfigReader:
    """Typed access to a config.json; every error names the key.

    Attributes:
        values: the parsed config.json (or the `text_config` of a multimodal one).
        prefix: what stands before a key in messages, e.g. `text_config.`.
        keys_read: keys that were asked for, with their prefixes; shared with the readers that are
            made from this one.
    """

    values: Mapping[str, Any]
    prefix: str = ""
    keys_read: set[str] = field(default_factory=set, compare=False)

    def with_defaults(self, **defaults: Any) -> ConfigReader:
        """The same config, with values for keys that are absent (a null stays a null)."""
        return replace(self, values={**defaults, **self.values})

    def with_values(self, **values: Any) -> ConfigReader:
        """The same config, with other values of some keys."""
        return replace(self, values={**self.values, **values})

    def get(self, key: str) -> Any:
        """The value of the key, or None; it counts as read."""
        self.keys_read.add(self.prefix + key)
        return self.values.get(key)

    def has(self, key: str) -> bool:
        """The key is there and not null."""
        return self.get(key) is not None

    def unread(self) -> list[str]:
        """Keys that are there, and that nobody asked for."""
        return [key for key in self.values if self.prefix + key not in self.keys_read]

    def size(self, key: str, default: int | None = None, *, most: int = 1 << 24) -> int:
        """A positive integer, at most `most`."""
        value = self.count(key, default, most=most)
        if value == 0:
            raise self.unsupported(key, "is 0, but must be positive")
        return value

    def count(self, key: str, default: int | None = None, *, most: int = 1 << 24) -> int:
        """An integer from 0, at most `most`: an absurd size must not take all time or memory."""
        value = self.get(key)
        if value is None:
            value = default
        if value is None:
            raise self.unsupported(key, "is missing")
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.unsupported(key, f"is {value!r}, but must be a positive integer")
        if value > most:
            raise self.unsupported(key, f"is more than the {most} that can be handled")
        return value

    def optional_size(self, key: str) -> int | None:
        """A positive integer, or None where the key is missing or null."""
        return self.size(key) if self.has(key) else None

    def optional_positive(self, key: str) -> float | None:
        """A number above 0, or None where the key is missing or null."""
        return self.positive(key, 1.0) if self.has(key) else None

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.unsupported(key, f"is {value!r}, but must be a number")
        if not abs(value) < 1e300:
            raise self.unsupported(key, "must be finite")
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.unsupported(key, f"is {value!r}, but must be true or false")
        return value

    def positive(self, key: str, default: float) -> float:
        """A number above 0."""
        value = self.number(key, default)
        if value <= 0:
            raise self.unsupported(key, f"is {value!r}, but must be positive")
        return value

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """A string, one of `known`."""
        value = self.get(key)
        if value is None:
            return default
        if value not in known:
            raise self.unsupported(key, f"is {value!r}; known are {', '.join(known)}")
        return str(value)

    def enum_list(self, key: str, known: tuple[Any, ...], length: int) -> tuple[Any, ...] | None:
        """A list of `length` values, all of them in `known`; or None."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            raise self.unsupported(key, f"must be a list of {length} entries")
        for entry in value:
            if entry not in known:
                raise self.unsupported(
                    key, f"has {entry!r}; known are {', '.join(map(str, known))}"
                )
        return tuple(value)

    def numbers(self, key: str, length: int) -> NDArray[np.float64]:
        """A list of exactly `length` positive numbers."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) != length:
            raise self.unsupported(key, f"must be a list of {length} numbers")
        if not all(isinstance(v, (int, float)) and 0 < v < 1e300 for v in value):
            raise self.unsupported(key, "must hold positive numbers only")
        return np.asarray(value, np.float64)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """An object; missing and null are empty."""
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.unsupported(key, f"is {value!r}, but must be an object")
        return value

    def section(self, key: str) -> ConfigReader:
        """A reader of the object `key`; missing and null are empty."""
        return replace(self, values=self.mapping(key), prefix=f"{self.prefix}{key}.")

    def unsupported(self, key: str, problem: str) -> UnsupportedModel:
        """The error for a key with a value that is not supported."""
        return UnsupportedModel(
            "This checkpoint cannot be converted.",
            why=f"config.json: {self.prefix}{key} {problem}.",
        )
