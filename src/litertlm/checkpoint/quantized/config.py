"""The section of config.json about quantization, with errors that name its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.errors import UnsupportedModel


@dataclass(frozen=True)
class QuantConfig:
    """Typed access to `quantization_config`.

    Attributes:
        source: the file, for messages.
        key: of the section in it, with outer keys before it.
        method: `quant_method`.
        values: the section.
    """

    source: str
    key: str
    method: str
    values: Mapping[str, Any]

    def choice(self, key: str, known: tuple[Any, ...], default: Any) -> Any:
        """The value of a key, one of `known`; null and absent are `default`."""
        value = self.values.get(key)
        if value is None:
            value = default
        # 4.0 and True are equal to integers in Python and not meant here.
        if not any(type(value) is type(one) and value == one for one in known):
            allowed = ", ".join(repr(one) for one in known)
            raise self.unsupported(key, f"is {value!r:.100}, and only {allowed} can be read")
        return value

    def size(self, key: str, default: int) -> int:
        """A positive integer, or -1."""
        value = self.values.get(key)
        if value is None:
            value = default
        if type(value) is not int or not (value == -1 or 0 < value < 1 << 24):
            raise self.unsupported(key, f"is {value!r:.100}, but must be positive or -1")
        return value

    def optional_pair(self, key: str) -> tuple[int, int] | None:
        """Two positive integers, or None where the key is absent or null."""
        value = self.values.get(key)
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(type(one) is int and 0 < one < 1 << 24 for one in value)
        ):
            raise self.unsupported(key, f"is {value!r:.100}, but must be two positive integers")
        return value[0], value[1]

    def section(self, key: str) -> QuantConfig:
        """The object under a key; absent and null are empty."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.unsupported(key, f"is {value!r:.100}, but must be an object")
        return QuantConfig(self.source, f"{self.key}.{key}", self.method, value)

    def must_be_empty(self, key: str, meaning: str) -> None:
        """Raises UnsupportedModel if the key has a value; `meaning` says what it asks for."""
        if self.values.get(key):
            raise self.unsupported(key, f"asks for {meaning}, which cannot be read")

    def unsupported(self, key: str, problem: str) -> UnsupportedModel:
        """The error for a key with a value that is not supported."""
        return self.unsupported_form(f"{self.key}.{key} {problem}")

    def unsupported_form(self, problem: str) -> UnsupportedModel:
        """The error for a form of the method that cannot be read."""
        return UnsupportedModel(
            f"The weights are already quantized ({self.method}), in a form that cannot be read.",
            why=f"{self.source}: {problem}.",
            hint="Use the original checkpoint and --quantize. docs/quantization.md lists the forms "
            "that can be read.",
        )
