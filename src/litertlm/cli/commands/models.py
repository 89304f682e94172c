"""`litert-lm-cli models`."""

from __future__ import annotations

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.output import table
from litertlm.units import format_bytes


@make_command("models")
def command(app: App) -> None:
    """List available models. `run` also takes other models of the same families."""
    from litertlm.services.acquire import CATALOG, catalog_fields

    on_disk = {model.name for model in app.store.installed()}
    rows = [["NAME", "MODEL", "PARAMETERS", "DOWNLOAD", "BUNDLE", "CONTEXT", "LICENCE", "ON DISK"]]
    rows += [
        [
            entry.alias,
            entry.model if entry.package is None else "from the package registry",
            entry.parameters,
            format_bytes(entry.download_bytes),
            format_bytes(entry.bundle_bytes),
            str(entry.context),
            entry.licence + (" (accept on the Hub)" if entry.gated else ""),
            "yes" if entry.model in on_disk else "",
        ]
        for entry in CATALOG
    ]
    app.output.data(catalog_fields(on_disk), table(rows, right=frozenset({2, 3, 4, 5})))
