"""The options of commands that may download from the Hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def hub_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; their values are fields of `AcquireRequest`."""
    for option in reversed(
        [
            click.option(
                "--revision",
                metavar="REVISION",
                help="Branch, tag or commit on the Hub.  [default: main]",
            ),
            click.option(
                "--file",
                metavar="NAME",
                help="The .litertlm or .gguf file to use if a repository has several.",
            ),
            click.option(
                "--base",
                metavar="MODEL",
                help="Base model of a LoRA adapter.  [default: as named by the adapter]",
            ),
            click.option(
                "--keep-checkpoint/--no-keep-checkpoint",
                default=True,
                show_default=True,
                help="Keep the downloaded checkpoint, so that another conversion needs no network. "
                "Without it, weights go from the network to the bundle.",
            ),
        ]
    ):
        function = option(function)
    return function
