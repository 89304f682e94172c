"""`litert-lm-cli serve`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.errors import UsageError

_DEFAULT_PORT = 11435
_KEY_VARIABLE = "LITERT_LM_API_KEY"
_MB = 1_000_000


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    positive = click.IntRange(min=1)
    for option in reversed(
        [
            click.option("--host", default="127.0.0.1", show_default=True, help="Address."),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                default=_DEFAULT_PORT,
                show_default=True,
                help="Port; 0 for any free one.",
            ),
            click.option(
                "--api-key",
                metavar="KEY",
                envvar=_KEY_VARIABLE,
                show_envvar=True,
                help="Key that requests must have.",
            ),
            click.option(
                "--no-auth", is_flag=True, help="Allow another --host without an API key."
            ),
            click.option("--auto-pull", is_flag=True, help="Download models that requests name."),
            click.option(
                "--keep-alive",
                metavar="DURATION",
                default="5m",
                show_default=True,
                help="Time after which an unused model is unloaded; -1 for never.",
            ),
            click.option(
                "--max-loaded",
                type=positive,
                metavar="N",
                default=1,
                show_default=True,
                help="Maximum number of loaded models.",
            ),
            click.option(
                "--parallel",
                type=positive,
                metavar="N",
                default=1,
                show_default=True,
                help="Answers at once per model, each in a process of its own.",
            ),
            click.option(
                "--queue",
                "max_queue",
                type=click.IntRange(min=0),
                metavar="N",
                default=64,
                show_default=True,
                help="Requests that may wait; more get status 429.",
            ),
            click.option(
                "--sessions",
                type=positive,
                metavar="N",
                default=8,
                show_default=True,
                help="Conversations that each process keeps in memory.",
            ),
            click.option(
                "--session-memory",
                type=positive,
                metavar="MB",
                default=1000,
                show_default=True,
                help="Memory for these conversations.",
            ),
            click.option(
                "--context", type=click.IntRange(min=16), metavar="N", help="Context in tokens."
            ),
            click.option(
                "--threads", type=click.IntRange(1, 1024), metavar="N", help="CPU threads."
            ),
            click.option(
                "--cors",
                multiple=True,
                metavar="ORIGIN",
                help="Web pages that may use the server, such as https://example.com. "
                "Can be repeated.",
            ),
            click.option(
                "--reject-control-tokens",
                is_flag=True,
                help="Refuse messages that contain control tokens of the model (status 400).",
            ),
        ]
    ):
        function = option(function)
    return function


@make_command("serve")
@model_argument(many=True, required=False)
@_options
def command(app: App, models: tuple[str, ...], **values: Any) -> None:
    """Answer requests of OpenAI, Ollama and Anthropic clients over HTTP.

    The models on disk can be used. MODEL is downloaded and converted first if needed.
    """
    from litertlm.server.app import create_app
    from litertlm.server.guard import Guard, is_loopback
    from litertlm.server.ollama import duration_s
    from litertlm.server.run import open_socket, serve
    from litertlm.server.state import State
    from litertlm.services.acquire import AcquireRequest, acquire
    from litertlm.services.serve import Catalog, Manager, ServeOptions

    host, api_key = values["host"], values["api_key"] or None
    if not is_loopback(host) and api_key is None and not values["no_auth"]:
        raise UsageError(
            f"--host {host} needs --api-key.",
            why="Everyone who can reach this address could use the server.",
            hint=f"Set --api-key or {_KEY_VARIABLE}, or use --no-auth to allow everyone.",
        )
    keep_alive_s = duration_s(values["keep_alive"])
    if keep_alive_s is None:
        raise UsageError(
            f"Not a duration: {values['keep_alive']!r}.", hint="Examples: 30s, 5m, 1h, -1."
        )
    listening_on = open_socket(host, values["port"])
    given = {}
    for text in models:
        request = AcquireRequest(text)
        installed = acquire(request, store=app.store, settings=app.settings, progress=app.output)
        given[text] = installed
    run = {"context": values["context"], "threads": values["threads"]}
    options = ServeOptions(
        run={name: value for name, value in run.items() if value is not None},
        keep_alive_s=keep_alive_s,
        max_loaded=values["max_loaded"],
        parallel=values["parallel"],
        max_queue=values["max_queue"],
        sessions=values["sessions"],
        session_bytes=values["session_memory"] * _MB,
        reject_control_tokens=values["reject_control_tokens"],
    )
    state = State(
        Catalog(app.store, app.settings, given),
        Manager(options),
        Guard(host, api_key, frozenset(origin.rstrip("/") for origin in values["cors"])),
        auto_pull=values["auto_pull"],
        first=next(iter(given.values()), None),
        report=app.output.warn,
    )
    address, port = listening_on.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address

    def listening() -> None:
        app.output.status(f"Listening on http://{shown}:{port} (Ctrl-C to stop)")

    serve(create_app(state), listening_on, listening)
