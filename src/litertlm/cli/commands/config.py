"""`litert-lm-cli config`."""

from __future__ import annotations

import json
from typing import Any

import click

from litertlm.cli.app import App, help_without_command
from litertlm.cli.app import command as make_command
from litertlm.errors import UsageError
from litertlm.services.chat import OPTIONS, Value

_KEYS = "Keys: " + ", ".join(OPTIONS) + "."


@click.group("config", invoke_without_command=True, subcommand_metavar="COMMAND [ARGS]...")
@click.pass_context
def command(context: click.Context) -> None:
    """Manage per-model default options of `run`.

    Flags override these defaults, and these override the bundle's own. They are stored in
    config.toml in the models folder.
    """
    help_without_command(context)


@make_command("set")
@click.argument("model")
@click.argument("key")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
def _set(app: App, model: str, key: str, values: tuple[str, ...]) -> None:
    """Set the default of KEY for MODEL. `stop` takes several values."""
    from litertlm.services.chat import set_default

    name = _name(app, model)
    value = set_default(app.settings.config_file, name, key, values)
    app.output.data(
        {"model": name, key: _plain(value)}, f"{name}: {key} = {json.dumps(_plain(value))}"
    )


@make_command("show")
@click.argument("model", required=False)
def _show(app: App, model: str | None) -> None:
    """Show the defaults of MODEL, or of all models."""
    from litertlm.services.chat import RunOptions, read_config

    config = read_config(app.settings.config_file)
    names = [_name(app, model)] if model else list(config)
    found = {name: config.get(name, RunOptions()).given() for name in names}
    lines = [
        f"{name}: {key} = {json.dumps(_plain(value), ensure_ascii=False)}"
        for name, table in found.items()
        for key, value in table.items()
    ]
    data = {
        name: {key: _plain(value) for key, value in table.items()} for name, table in found.items()
    }
    if not lines:
        app.output.status("No defaults are set.")
        if not app.output.json_wanted:
            return
    app.output.data(data, "\n".join(lines))


@make_command("unset")
@click.argument("model")
@click.argument("key", required=False)
def _unset(app: App, model: str, key: str | None) -> None:
    """Remove the default of KEY for MODEL, or all defaults of MODEL."""
    from litertlm.services.chat import unset_default

    name = _name(app, model)
    if not unset_default(app.settings.config_file, name, key):
        raise UsageError(f"{name} has no default for {key}." if key else f"{name} has no defaults.")
    app.output.status(f"✓ Removed {name}: {key or 'all defaults'}")


_set.epilog = _KEYS
for _subcommand in (_set, _show, _unset):
    command.add_command(_subcommand)


def _name(app: App, model: str) -> str:
    """The name under which `run` looks up the model's defaults."""
    from litertlm.services.acquire import name_for_defaults

    return name_for_defaults(model, store=app.store, settings=app.settings)


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
