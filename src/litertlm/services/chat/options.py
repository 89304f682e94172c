"""The options of `run`: one typed value from the command line to decoding.

`RunOptions` is what `run` flags, `config set`, `/set` and a saved configuration fill in. Its fields
say which values are allowed; the flags, the keys of the configuration and /set follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from litertlm.errors import UsageError

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """What is allowed for one field of `RunOptions`.

    Attributes:
        name: as in `config set` and `/set`; the flag has dashes for the underscores.
        kind: `number`, `integer`, `text`, `texts` (may be given several times), `switch` or
            `choice`.
        allowed: what is allowed, in words, for errors and for the reference.
        help: one line.
        check: whether a value of the kind is allowed.
        choices: of a `choice`.
        needs_reload: whether a loaded model must be loaded again for it.
    """

    name: str
    kind: str
    allowed: str
    help: str
    check: Callable[[Any], bool] = lambda value: True
    choices: tuple[str, ...] = ()
    needs_reload: bool = False


def _option(
    kind: str,
    allowed: str,
    help: str,
    check: Callable[[Any], bool] = lambda value: True,
    *,
    default: Any = None,
    choices: tuple[str, ...] = (),
    needs_reload: bool = False,
) -> Any:
    """A field of `RunOptions`; see `Option`."""
    option = Option("", kind, allowed, help, check, choices, needs_reload)
    return field(default=default, metadata={_OPTION: option})


_OPTION = "option"


@dataclass(frozen=True)
class RunOptions:
    """What a user chose about running a model; None (no texts) is the bundle's own or the default.

    Fields without an `Option` are not part of a configuration.

    Attributes:
        schema: the JSON Schema that answers must match, as text.
        presence_penalty, frequency_penalty, suppressed: see `Decoding`.
    """

    temperature: float | None = _option(
        "number",
        "a number from 0 to 10",
        "Sampling temperature; 0 is greedy decoding.",
        lambda value: 0 <= value <= 10,
    )
    top_k: int | None = _option(
        "integer",
        "an integer of at least 1",
        "Sample from the K most probable tokens.",
        lambda value: value >= 1,
    )
    top_p: float | None = _option(
        "number",
        "a number above 0, up to 1",
        "Nucleus sampling: sample from the most probable tokens that add up to P.",
        lambda value: 0 < value <= 1,
    )
    seed: int | None = _option(
        "integer",
        "an integer from 0 to 2147483647",
        "Random seed; the same seed and options give the same answer.",
        lambda value: 0 <= value <= 0x7FFFFFFF,
    )
    max_tokens: int | None = _option(
        "integer",
        "an integer of at least 1",
        "Maximum tokens per answer.",
        lambda value: value >= 1,
    )
    stop: tuple[str, ...] = _option(
        "texts", "a non-empty text", "Stop the answer before this text.", bool, default=()
    )
    repetition_penalty: float | None = _option(
        "number",
        "a number from 1 to 10",
        "Penalty for tokens that were already used; 1 is none.",
        lambda value: 1 <= value <= 10,
    )
    think: bool | None = _option("switch", "on or off", "Thinking mode of models that have one.")
    system: str | None = _option("text", "a text", "System message.")
    context: int | None = _option(
        "integer",
        "an integer of at least 16",
        "Context length in tokens (prompt and answers).",
        lambda value: value >= 16,
        needs_reload=True,
    )
    threads: int | None = _option(
        "integer",
        "an integer from 1 to 1024",
        "Number of CPU threads.",
        lambda value: 1 <= value <= 1024,
        needs_reload=True,
    )
    backend: str | None = _option(
        "choice", "cpu or gpu", "Compute backend.", choices=("cpu", "gpu"), needs_reload=True
    )
    schema: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    suppressed: tuple[int, ...] = ()

    def given(self) -> dict[str, Value]:
        """The chosen values of `OPTIONS`, by name."""
        return {name: value for name, value in self._chosen() if name in OPTIONS}

    def over(self, defaults: RunOptions) -> RunOptions:
        """These options, and those of `defaults` for what is not chosen here."""
        return replace(defaults, **dict(self._chosen()))

    def having(self, name: str, value: Value | None) -> RunOptions:
        """These options with another value of one; None takes the choice back.

        Raises:
            UsageError: there is no such option, or the value is not allowed.
        """
        option = find_option(name)
        if value is None:
            cleared: Any = () if option.kind == "texts" else None
            return replace(self, **{option.name: cleared})
        checked: Any = check_value(option, value)
        return replace(self, **{option.name: checked})

    def _chosen(self) -> Iterator[tuple[str, Any]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if value not in (None, ()):
                yield each.name, value


def run_options(values: Mapping[str, Any]) -> RunOptions:
    """Options from values by name; lists are several texts.

    Raises:
        UsageError: names the option, the value and what is allowed.
    """
    options = RunOptions()
    for name, value in values.items():
        options = options.having(name, tuple(value) if isinstance(value, list) else value)
    return options


OPTIONS: Mapping[str, Option] = {
    each.name: replace(each.metadata[_OPTION], name=each.name)
    for each in fields(RunOptions)
    if _OPTION in each.metadata
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
    if option.kind == "texts":
        raise UsageError(
            f"{option.name} cannot be {value!r}.",
            why=f"It must be a list; each is {option.allowed}.",
        )
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
