"""`litert-lm-cli show`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.bundle_facts import bundle_fields, bundle_lines
from litertlm.cli.completion import model_argument
from litertlm.cli.describe import model_fields
from litertlm.cli.output import table
from litertlm.cli.printable import printable_line
from litertlm.errors import DamagedBundle
from litertlm.store import read_record
from litertlm.units import format_bytes

# Of the place, not of the model.
_NOT_COMPARED = {
    "model",
    "path",
    "cache_bytes",
    "checkpoint_bytes",
    "total_bytes",
    "used",
    "licence",
}
_LONGEST_VALUE = 60


@make_command("show")
@model_argument(on_disk=True)
@click.option("--template", is_flag=True, help="Print the chat template.")
@click.option("--diff", metavar="OTHER", help="Print what differs: show --diff OTHER MODEL.")
def command(app: App, model: str, template: bool, diff: str | None) -> None:
    """Show information about a MODEL on disk: origin, sizes, template, stop tokens, sampler."""
    fields, bundle = _fields(app, model)
    if diff is not None:
        _print_diff(app, _fields(app, diff), (fields, bundle))
    elif template:
        text, original = _template(bundle)
        app.output.source({"template": text, "original": original}, text)
    else:
        facts = bundle_fields(bundle)
        lines = [*_lines(fields), *bundle_lines(facts)]
        # The recorded provenance takes precedence over the bundle's own metadata.
        app.output.data({**facts, **fields}, "\n".join(lines))


def _fields(app: App, model: str) -> tuple[dict[str, Any], Path]:
    from litertlm.services.acquire import find_installed, lookup

    installed = find_installed(model, store=app.store, settings=app.settings)
    if installed.provenance is None:  # an exported file has it inside
        with suppress(DamagedBundle):  # what follows the sections does not matter to `run`, either
            installed = replace(installed, provenance=read_record(installed.bundle))
    known = lookup(installed.name)
    licence = known.licence if known else None
    return {**model_fields(installed, app.store), "licence": licence}, installed.bundle


def _template(bundle: Path) -> tuple[str, Any]:
    """The template that the runtime renders, and the checkpoint's own."""
    from litertlm.bundle.prompt_config import CHAT_TEMPLATE_KEY
    from litertlm.bundle_format.info import read_bundle_info

    info = read_bundle_info(bundle)
    return info.template or "", info.header.system.get(CHAT_TEMPLATE_KEY)


def _print_diff(
    app: App, first: tuple[dict[str, Any], Path], second: tuple[dict[str, Any], Path]
) -> None:
    """What differs between two models, field by field, and the lines of their templates."""
    names = [fields["model"] for fields, _ in (first, second)]
    values = [{**bundle_fields(bundle), **fields} for fields, bundle in (first, second)]
    texts = [_template(bundle)[0] for _, bundle in (first, second)]
    differences: dict[str, list[Any]] = {
        field: [value.get(field) for value in values]
        for field in values[0]
        if field not in _NOT_COMPARED and values[0][field] != values[1].get(field)
    }
    data = {"models": names, "differences": differences}
    if texts[0] != texts[1]:
        differences["template_text"] = list(texts)
    if not differences:
        app.output.status("✓ No differences")
        if not app.output.json_wanted:
            return
    rows = [["FIELD", *names]]
    rows += [
        [field, *map(_short, pair)]
        for field, pair in differences.items()
        if field != "template_text"
    ]
    app.output.data(data, "\n".join([table(rows), *_template_diff(texts, names)]))


def _template_diff(texts: list[str], names: list[str]) -> list[str]:
    import difflib

    old, new = (text.splitlines() for text in texts)
    lines = list(difflib.unified_diff(old, new, names[0], names[1], lineterm="", n=1))
    return ["", "Chat template:", *map(printable_line, lines)] if lines else []


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _lines(fields: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in fields.items():
        if value in (None, {}):
            continue
        if name.endswith("_bytes"):
            name, value = name.removesuffix("_bytes"), format_bytes(value)
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        lines.append(f"{name:<12}{printable_line(str(value))}")
    return lines
