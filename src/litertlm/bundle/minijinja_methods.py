"""Methods of Python's str and dict, as filters and tests of minijinja.

Each function takes the object and the arguments as source text, atomic or in parentheses, and may
use them more than once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_Translation = Callable[..., str]


def translated(name: str, value: str, arguments: Sequence[str]) -> str | None:
    """`value.name(arguments)`, or None if minijinja has no equivalent."""
    translation = _METHODS.get((name, len(arguments)))
    return None if translation is None else translation(value, *arguments)


def filtered(value: str, name: str, *arguments: str) -> str:
    """`value` through a filter."""
    return f"({value}|{name}({', '.join(arguments)}))" if arguments else f"({value}|{name})"


def formatted(template: str, arguments: Sequence[str], named: dict[str, str]) -> list[str] | None:
    """The parts of `template.format(...)`: source text of arguments, and literal texts as `=text`.

    None if a field has a format specification or reads an attribute of its argument.
    """
    parts, place, number = [], 0, 0
    for field in re.finditer(r"\{\{|\}\}|\{([^{}]*)\}|[{}]", template):
        parts.append(f"={template[place : field.start()]}")
        place = field.end()
        key = field[1]
        if field[0] in ("{{", "}}"):
            parts.append(f"={field[0][0]}")
        elif key is None:
            return None
        elif key in named:
            parts.append(named[key])
        elif key == "" or key.isdigit():
            index = int(key) if key else number
            number += not key
            if index >= len(arguments):
                return None
            parts.append(arguments[index])
        else:
            return None
    return [*parts, f"={template[place:]}"]


def interpolated(template: str, arguments: Sequence[str]) -> list[str] | None:
    """The parts of `template % arguments`, as `formatted`; None for fields other than `%s`."""
    fields = [field for field in re.findall(r"%.?", template) if field != "%%"]
    if any(field != "%s" for field in fields) or len(fields) != len(arguments):
        return None
    rest = iter(arguments)
    return [
        next(rest) if piece == "%s" else "=" + ("%" if piece == "%%" else piece)
        for piece in re.split(r"(%s|%%)", template)
    ]


def escaped(value: str) -> str:
    """As Jinja2's filter `escape` (MarkupSafe); minijinja's own escapes quotes differently."""
    for sign, entity in ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"):
        value = filtered(value, "replace", f'"{sign}"', f'"{entity}"')
    return filtered(value, "replace", "'\"'", '"&#34;"')


def _parts(value: str, *arguments: str) -> str:
    # The runtime's filter returns an iterator, which has no negative indices.
    return filtered(filtered(value, "split", *arguments), "list")


def _rsplit(value: str, sign: str, most: str) -> str:
    parts = _parts(value, sign)
    head = f"({parts}[:-{most}]|join({sign}))"
    return f"({parts} if ({parts}|length) <= {most} else [{head}] + {parts}[-{most}:])"


def _partition(value: str, sign: str) -> str:
    parts = _parts(value, sign, "1")
    return f'([{parts}[0], {sign}, {parts}[1]] if {sign} in {value} else [{value}, "", ""])'


def _rpartition(value: str, sign: str) -> str:
    parts = _parts(value, sign)
    found = f"[({parts}[:-1]|join({sign})), {sign}, {parts}[-1]]"
    return f'({found} if {sign} in {value} else ["", "", {value}])'


def _removeprefix(value: str, prefix: str) -> str:
    return f"({value}[({prefix}|length):] if {value} is startingwith({prefix}) else {value})"


def _removesuffix(value: str, suffix: str) -> str:
    kept = f"{value}[:(({value}|length) - ({suffix}|length))]"
    return f"({kept} if {value} is endingwith({suffix}) else {value})"


def _find(value: str, text: str) -> str:
    return f"(({_parts(value, text, '1')}[0]|length) if {text} in {value} else -1)"


def _get(value: str, key: str, default: str = "none") -> str:
    return f"({value}[{key}] if {key} in {value} else {default})"


def _same(name: str) -> _Translation:
    return lambda value, *arguments: filtered(value, name, *arguments)


_METHODS: dict[tuple[str, int], _Translation] = {
    ("strip", 0): _same("trim"),
    ("strip", 1): _same("trim"),
    **{(name, n): _same(name) for name in ("lstrip", "rstrip") for n in (0, 1)},
    **{(name, 0): _same(name) for name in ("lower", "upper", "title", "capitalize", "items")},
    **{("split", n): _parts for n in (0, 1, 2)},
    ("rsplit", 1): _parts,
    ("rsplit", 2): _rsplit,
    ("partition", 1): _partition,
    ("rpartition", 1): _rpartition,
    ("removeprefix", 1): _removeprefix,
    ("removesuffix", 1): _removesuffix,
    ("find", 1): _find,
    ("count", 1): lambda value, text: f"(({_parts(value, text)}|length) - 1)",
    ("replace", 2): _same("replace"),
    ("replace", 3): lambda value, old, new, most: filtered(_parts(value, old, most), "join", new),
    ("join", 1): lambda value, items: filtered(items, "join", value),
    ("keys", 0): _same("list"),
    ("values", 0): lambda value: f"({value}|items|map(attribute=1)|list)",
    ("get", 1): _get,
    ("get", 2): _get,
}
