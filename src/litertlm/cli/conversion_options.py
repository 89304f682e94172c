"""The options of commands that may convert, and their validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from litertlm.services.convert import (
    DEFAULT_PREFILL_LENGTHS,
    RECIPE_NAMES,
    STATIC_RECIPES,
    ConvertOptions,
    with_static_shapes,
)

_DEFAULTS = ConvertOptions()


class PrefillLengths(click.ParamType[tuple[int, ...]]):
    """Prefill lengths such as `8,64,128`: ascending, without duplicates."""

    name = "lengths"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            lengths = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of integers such as 8,64,128.", param, ctx)
        if min(lengths) < 1:
            self.fail(f"{value}: lengths must be at least 1.", param, ctx)
        if len(set(lengths)) < len(lengths):
            self.fail(f"{value}: duplicate length.", param, ctx)
        if list(lengths) != sorted(lengths):
            self.fail(f"{value}: lengths must be in ascending order.", param, ctx)
        return lengths


def conversion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; `convert_options` turns their values into `ConvertOptions`."""
    lengths = ",".join(map(str, DEFAULT_PREFILL_LENGTHS))
    for option in reversed(
        [
            click.option(
                "--quantize",
                type=click.Choice(RECIPE_NAMES),
                default=_DEFAULTS.recipe,
                show_default=True,
                help="Quantization recipe.",
            ),
            click.option(
                "--kv-cache-max-len",
                type=click.IntRange(min=1),
                metavar="TOKENS",
                help="Context length of the bundle. With dynamic shapes, `run --context` may "
                f"exceed it.  [default: {_DEFAULTS.kv_cache_max_len}, or the model's maximum]",
            ),
            click.option(
                "--shapes",
                type=click.Choice(["dynamic", "static"]),
                help="dynamic: any prompt length without padding; static: one signature per "
                "prefill length and a KV cache of fixed size.  [default: dynamic]  "
                f"{' and '.join(STATIC_RECIPES)} default to static, which is several times faster.",
            ),
            click.option(
                "--prefill-seq-len",
                type=PrefillLengths(),
                metavar="TOKENS,...",
                help="Prefill lengths of static shapes; implies --shapes static.  "
                f"[default: {lengths}]",
            ),
        ]
    ):
        function = option(function)
    return function


def convert_options(
    quantize: str,
    kv_cache_max_len: int | None,
    shapes: str | None,
    prefill_seq_len: tuple[int, ...] | None,
) -> ConvertOptions:
    """The `ConvertOptions` of these option values.

    Raises:
        click.UsageError: the values contradict each other.
    """
    if prefill_seq_len and shapes == "dynamic":
        raise click.UsageError("--prefill-seq-len requires --shapes static.")
    if shapes is None and quantize in STATIC_RECIPES:
        shapes = "static"
    options = replace(_DEFAULTS, recipe=quantize)
    if kv_cache_max_len is not None:
        options = replace(options, kv_cache_max_len=kv_cache_max_len, shorten=False)
    longest = options.kv_cache_max_len
    if not prefill_seq_len and shapes != "static":
        return options
    if prefill_seq_len and prefill_seq_len[-1] > longest:
        raise click.UsageError(
            f"A prefill length of {prefill_seq_len[-1]} does not fit a KV cache of "
            f"{longest} tokens."
        )
    return with_static_shapes(options, prefill_seq_len or ())
