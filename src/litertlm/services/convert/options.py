"""The options of a conversion. Light: the command line reads this for its help."""

from __future__ import annotations

from dataclasses import dataclass, replace

from litertlm.constants import DEFAULT_CONTEXT

# Names of quantize.RECIPES, which is too heavy for --help; a test compares them.
RECIPE_NAMES = ("dynamic_int8", "int8", "fp16", "none", "dynamic_int4")

# With dynamic shapes the runtime converts these weights to float32 at every call, which takes
# several times as long (docs/quantization.md); with static shapes it does so once.
STATIC_RECIPES = ("int8", "fp16")

DEFAULT_PREFILL_LENGTHS = (8, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class ConvertOptions:
    """What a user can choose about a conversion.

    Attributes:
        recipe: a name in quantize.RECIPES.
        kv_cache_max_len: length of the KV cache in tokens, recorded as the default context.
        shapes: `dynamic` (any prompt length, cache grows) or `static` (one signature per
            prefill length, fixed cache).
        prefill_lengths: prefill signatures of static shapes, ascending, in tokens.
        shorten: a model that has fewer positions than the default cache gets a cache of those;
            a user who names a length wants that or none.
    """

    recipe: str = "dynamic_int8"
    kv_cache_max_len: int = DEFAULT_CONTEXT
    shapes: str = "dynamic"
    prefill_lengths: tuple[int, ...] = DEFAULT_PREFILL_LENGTHS
    shorten: bool = True


def with_static_shapes(
    options: ConvertOptions, prefill_lengths: tuple[int, ...] = ()
) -> ConvertOptions:
    """`options` with static shapes, for the prefill lengths given or the default ones that fit."""
    longest = options.kv_cache_max_len
    fitting = tuple(length for length in DEFAULT_PREFILL_LENGTHS if length <= longest)
    return replace(
        options, shapes="static", prefill_lengths=prefill_lengths or fitting or (longest,)
    )
