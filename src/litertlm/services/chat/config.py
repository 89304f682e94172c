"""Defaults of `run` per model in a TOML file: below flags, above the bundle's own.

[models."org/name"]
temperature = 0.7
stop = ["END"]

`config set` and `config unset` change the value that they are asked to change, and nothing else of
the file: comments, order and layout stay.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.errors import UsageError, resource_error
from litertlm.services.chat.options import (
    RunOptions,
    Value,
    find_option,
    parse_value,
    run_options,
)
from litertlm.store.files import atomic_write_bytes, read_regular

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_MODELS = "models"


def read_config(path: Path) -> dict[str, RunOptions]:
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
        NotEnoughResources: the disk is full; the file is unchanged.
    """
    import tomlkit

    option = find_option(key)
    if option.kind != "texts" and len(texts) != 1:
        raise UsageError(f"{option.name} takes one value, not {len(texts)}.")
    value: Value
    if option.kind == "texts":
        value = tuple(text for part in texts for text in _texts(parse_value(option, part)))
    else:
        value = parse_value(option, texts[0])
    document = _document(path)
    models = document.setdefault(_MODELS, tomlkit.table(is_super_table=True))
    table = models.setdefault(model, tomlkit.table())
    written = _key_in(table, option.name) or option.name
    table[written] = list(value) if isinstance(value, tuple) else value
    _write(path, document)
    return value


def unset_default(path: Path, model: str, key: str | None) -> bool:
    """Remove one default, or all of a model; False where there was none."""
    document = _document(path)
    models = document.get(_MODELS, {})
    table = models.get(model, {})
    written = _key_in(table, find_option(key).name) if key else None
    if not table or (key and written is None):
        return False
    if written is not None:
        del table[written]
    if key is None or not table:
        del models[model]
    _write(path, document)
    return True


def _key_in(table: Any, name: str) -> str | None:
    """The key by which a table has the option `name`: it may be spelled `top-k`."""
    return next((key for key in table if find_option(key).name == name), None)


def _document(path: Path) -> TOMLDocument:
    """The file with its comments and layout, checked as `read_config` does."""
    import tomlkit

    read_config(path)
    try:
        return tomlkit.parse(read_regular(path).decode())
    except FileNotFoundError:
        return tomlkit.document()


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


def _defaults(path: Path, model: str, table: Any) -> RunOptions:
    if not isinstance(table, dict):
        raise _bad(path, f"models.{model} is not a table")
    try:
        return run_options(table)
    except UsageError as error:
        raise _bad(path, f'for "{model}": {error.what} {error.why}'.rstrip()) from error


def _bad(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not a valid configuration.", why=why, hint="Fix or delete the file."
    )


def _write(path: Path, document: TOMLDocument) -> None:
    what = f"{path} cannot be written."
    try:
        atomic_write_bytes(path, document.as_string().encode())
    except OSError as error:
        if (no_room := resource_error(error, what)) is not None:
            raise no_room from error
        raise UsageError(what, why=str(error)) from error
