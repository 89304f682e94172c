"""The options that `run` flags, `config set` and `/set` share: one table, one way to check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.errors import UsageError

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """One thing that can be chosen about running a model.

    Attributes:
        name: as in `config set` and `/set`; the flag has dashes for the underscores.
        kind: `number`, `integer`, `text`, `texts` (may be given several times), `switch` or
            `choice`.
        allowed: what is allowed, in words, for errors and for the reference.
        help: one line.
        check: whether a value of the kind is allowed.
        choices: of a `choice`.
        needs_reload: whether changing it reloads the model.
    """

    name: str
    kind: str
    allowed: str
    help: str
    check: Callable[[Any], bool] = lambda value: True
    choices: tuple[str, ...] = ()
    needs_reload: bool = False


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "temperature",
            "number",
            "a number from 0 to 10",
            "Sampling temperature; 0 is greedy decoding.",
            lambda value: 0 <= value <= 10,
        ),
        Option(
            "top_k",
            "integer",
            "an integer of at least 1",
            "Sample from the K most probable tokens.",
            lambda value: value >= 1,
        ),
        Option(
            "top_p",
            "number",
            "a number above 0, up to 1",
            "Nucleus sampling: sample from the most probable tokens that add up to P.",
            lambda value: 0 < value <= 1,
        ),
        Option(
            "seed",
            "integer",
            "an integer from 0 to 2147483647",
            "Random seed; the same seed and options give the same answer.",
            lambda value: 0 <= value <= 0x7FFFFFFF,
        ),
        Option(
            "max_tokens",
            "integer",
            "an integer of at least 1",
            "Maximum tokens per answer.",
            lambda value: value >= 1,
        ),
        Option("stop", "texts", "a non-empty text", "Stop the answer before this text.", bool),
        Option(
            "repetition_penalty",
            "number",
            "a number from 1 to 10",
            "Penalty for tokens that were already used; 1 is none.",
            lambda value: 1 <= value <= 10,
        ),
        Option("think", "switch", "on or off", "Thinking mode of models that have one."),
        Option("system", "text", "a text", "System message."),
        Option(
            "context",
            "integer",
            "an integer of at least 16",
            "Context length in tokens (prompt and answers).",
            lambda value: value >= 16,
            needs_reload=True,
        ),
        Option(
            "threads",
            "integer",
            "an integer from 1 to 1024",
            "Number of CPU threads.",
            lambda value: 1 <= value <= 1024,
            needs_reload=True,
        ),
        Option(
            "backend",
            "choice",
            "cpu or gpu",
            "Compute backend.",
            choices=("cpu", "gpu"),
            needs_reload=True,
        ),
    )
}


def find_option(name: str) -> Option:
    """The option of that name; dashes and capitals do not matter.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    option = OPTIONS.get(name.replace("-", "_").lower())
    if option is None:
        from difflib import get_close_matches

        near = get_close_matches(name, OPTIONS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"Unknown option: {name}.", hint=f"{hint}Options: {', '.join(OPTIONS)}.")
    return option


def parse_value(option: Option, text: str) -> Value:
    """The value that a user wrote.

    Raises:
        UsageError: it is not allowed.
    """
    try:
        value = _PARSERS[option.kind](text)
    except (ValueError, KeyError):
        raise _not_allowed(option, text) from None
    if option.kind == "choice" and text not in option.choices:
        raise _not_allowed(option, text)
    return check_value(option, value)


def check_value(option: Option, value: Value) -> Value:
    """`value` if it is of the option's kind and allowed.

    Raises:
        UsageError: it is not.
    """
    if option.kind == "texts" and isinstance(value, (list, tuple)):
        for item in value:
            if not isinstance(item, str) or not option.check(item):
                raise _not_allowed(option, item)
        return tuple(value)
    if option.kind == "number" and type(value) is int:
        value = float(value)
    fits = type(value) is _TYPES[option.kind] and option.check(value)
    if not fits or (option.choices and value not in option.choices):
        raise _not_allowed(option, value)
    return value


def _not_allowed(option: Option, value: object) -> UsageError:
    return UsageError(f"{option.name} cannot be {value!r}.", why=f"It must be {option.allowed}.")


_SWITCH = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}
_PARSERS: Mapping[str, Callable[[str], Value]] = {
    "number": float,
    "integer": int,
    "text": str,
    "texts": lambda text: (text.replace("\\n", "\n").replace("\\t", "\t"),),
    "switch": lambda text: _SWITCH[text.lower()],
    "choice": str,
}
_TYPES: Mapping[str, type] = {
    "number": float,
    "integer": int,
    "text": str,
    "texts": tuple,
    "switch": bool,
    "choice": str,
}
