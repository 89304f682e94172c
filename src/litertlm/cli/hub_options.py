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
                help="Branch, tag or commit on the Hub.  [default: the newest]",
            ),
            click.option(
                "--file",
                metavar="NAME",
                help="The .litertlm or .gguf file to use, where a repository has several.",
            ),
            click.option(
                "--base",
                metavar="MODEL",
                help="What a LoRA adapter is merged into.  [default: what the adapter names]",
            ),
            click.option(
                "--keep-checkpoint/--no-keep-checkpoint",
                default=True,
                show_default=True,
                help="Leave the downloaded checkpoint on disk after the conversion.",
            ),
        ]
    ):
        function = option(function)
    return function
