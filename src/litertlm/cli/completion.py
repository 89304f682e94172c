"""What the shell completes: names of models, on disk and in the catalog, and paths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.output import ENVIRONMENT
from litertlm.settings import load_settings

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PATH_STARTS = (".", "/", "~")


def models_on_disk(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of models on disk, and their short names."""
    return _items(_on_disk(context), context, parameter, incomplete)


def all_models(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The same and the catalog's short names; files where a path is typed."""
    if incomplete.startswith(_PATH_STARTS):
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]
    from litertlm.services.acquire import CATALOG

    catalog = (entry.alias for entry in CATALOG)
    return _items([*_on_disk(context), *catalog], context, parameter, incomplete)


def model_argument(
    *, on_disk: bool = False, many: bool = False, required: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The argument MODEL of a command, or `MODEL...` (`models`), with completion.

    Args:
        on_disk: only models on disk can be given.
    """
    complete = models_on_disk if on_disk else all_models
    if not many:
        return click.argument("model", shell_complete=complete)
    metavar = "MODEL..." if required else "[MODEL]..."
    return click.argument(
        "models", nargs=-1, required=required, metavar=metavar, shell_complete=complete
    )


def _on_disk(context: click.Context) -> list[str]:
    """Short and full names of the models on disk; none if the folder cannot be read."""
    from litertlm.services.acquire import CATALOG
    from litertlm.store import Store

    common: dict[str, Any] = context.find_object(dict) or {}
    environment = common.get(ENVIRONMENT, os.environ)
    settings = load_settings(environment, cwd=Path.cwd(), models_dir=common.get("models_dir"))
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = [str(name) for name in Store(settings.models_dir).names()]
    return [*names, *(entry.alias for entry in CATALOG if entry.model in names)]


def _items(
    names: Iterable[str], context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`names` that begin so, in any letter case, once each and not if they are given already."""
    from click.shell_completion import CompletionItem

    given = context.params.get(parameter.name or "")
    seen = set(given) if isinstance(given, tuple) else set()
    start = incomplete.lower()
    return [
        CompletionItem(name)
        for name in dict.fromkeys(names)
        if name.lower().startswith(start) and name not in seen
    ]
