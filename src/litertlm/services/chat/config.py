"""Per-model defaults in a TOML file: below flags, above the bundle's own.

[models."org/name"]
temperature = 0.7
stop = ["END"]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litertlm.errors import UsageError
from litertlm.services.chat.options import Value, check_value, find_option, parse_value
from litertlm.store.files import read_regular

Defaults = dict[str, Value]


def read_config(path: Path) -> dict[str, Defaults]:
    """All models' defaults; empty where there is no file.

    Raises:
        UsageError: the file is not TOML, or holds what is not allowed; it is named.
    """
    try:
        text = read_regular(path).decode()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read.", why=str(error)) from error
    data = _parsed(path, text)
    models = data.get("models", {})
    if not isinstance(models, dict) or set(data) - {"models"}:
        raise _bad(path, 'it may hold tables [models."NAME"] only')
    return {name: _defaults(path, name, table) for name, table in models.items()}


def set_default(path: Path, model: str, key: str, texts: tuple[str, ...]) -> Value:
    """Write one default; returns the value as it was understood.

    Raises:
        UsageError: no such option, not allowed, or the file is broken or cannot be written.
    """
    option = find_option(key)
    if option.kind != "texts" and len(texts) != 1:
        raise UsageError(f"{option.name} takes one value, not {len(texts)}.")
    value: Value
    if option.kind == "texts":
        value = tuple(text for part in texts for text in _texts(parse_value(option, part)))
    else:
        value = parse_value(option, texts[0])
    config = read_config(path)
    config.setdefault(model, {})[option.name] = value
    _write(path, config)
    return value


def unset_default(path: Path, model: str, key: str | None) -> bool:
    """Remove one default, or all of a model; False where there was none."""
    config = read_config(path)
    table = config.get(model, {})
    name = find_option(key).name if key else None
    if not table or (name and name not in table):
        return False
    if name:
        del table[name]
    if name is None or not table:
        del config[model]
    _write(path, config)
    return True


def _parsed(path: Path, text: str) -> dict[str, Any]:
    # Imported late: most runs have no such file, and must start at once.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, str(error)) from error


def _texts(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def _defaults(path: Path, model: str, table: Any) -> Defaults:
    if not isinstance(table, dict):
        raise _bad(path, f"models.{model} is not a table")
    defaults = {}
    for key, value in table.items():
        try:
            option = find_option(key)
            defaults[option.name] = check_value(
                option, tuple(value) if isinstance(value, list) else value
            )
        except UsageError as error:
            raise _bad(path, f'for "{model}": {error.what} {error.why}'.rstrip()) from error
    return defaults


def _bad(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a valid configuration.", why=why, hint="Fix or delete the file."
    )


def _write(path: Path, config: Mapping[str, Defaults]) -> None:
    lines: list[str] = []
    for model, table in sorted(config.items()):
        lines.append(f"[models.{_quoted(model)}]")
        lines.extend(f"{key} = {_toml(value)}" for key, value in sorted(table.items()))
        lines.append("")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text("\n".join(lines), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written.", why=str(error)) from error


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_quoted(text) for text in value) + "]"
    return repr(value)


def _quoted(text: str) -> str:
    """A TOML basic string; control characters as \\uXXXX."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'
