"""`litert-lm-cli show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.bundle_facts import bundle_fields, bundle_lines
from litertlm.cli.describe import model_fields
from litertlm.cli.printable import printable_line
from litertlm.units import format_bytes


@make_command("show")
@click.argument("model")
@click.option("--template", is_flag=True, help="Print the chat template.")
def command(app: App, model: str, template: bool) -> None:
    """Show information about a MODEL on disk: origin, sizes, template, stop tokens, sampler."""
    from litertlm.services.acquire import find_installed, lookup

    installed = find_installed(model, store=app.store, settings=app.settings)
    if template:
        _print_template(app, installed.bundle)
        return
    known = lookup(installed.name)
    fields = {**model_fields(installed, app.store), "licence": known.licence if known else None}
    facts = bundle_fields(installed.bundle)
    lines = [*_lines(fields), *bundle_lines(facts)]
    # The recorded provenance takes precedence over the bundle's own metadata.
    app.output.data({**facts, **fields}, "\n".join(lines))


def _print_template(app: App, bundle: Path) -> None:
    from litertlm.bundle.prompt_config import CHAT_TEMPLATE_KEY
    from litertlm.bundle_format.info import read_bundle_info

    info = read_bundle_info(bundle)
    text = info.template or ""
    fields = {"template": text, "original": info.header.system.get(CHAT_TEMPLATE_KEY)}
    app.output.source(fields, text)


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
