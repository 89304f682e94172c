"""Convert a checkpoint to a bundle."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.convert.changes import missing_changes as missing_changes
    from litertlm.services.convert.conversion import Conversion as Conversion
    from litertlm.services.convert.conversion import convert as convert
    from litertlm.services.convert.conversion import convert_source as convert_source
    from litertlm.services.convert.conversion import write_plan as write_plan
    from litertlm.services.convert.options import DEFAULT_PREFILL_LENGTHS as DEFAULT_PREFILL_LENGTHS
    from litertlm.services.convert.options import RECIPE_NAMES as RECIPE_NAMES
    from litertlm.services.convert.options import STATIC_RECIPES as STATIC_RECIPES
    from litertlm.services.convert.options import ConvertOptions as ConvertOptions
    from litertlm.services.convert.options import with_static_shapes as with_static_shapes
    from litertlm.services.convert.plan import ConversionPlan as ConversionPlan
    from litertlm.services.convert.plan import count_parameters as count_parameters
    from litertlm.services.convert.plan import plan_conversion as plan_conversion
    from litertlm.services.convert.plan import signatures as signatures

EXPORTS = {
    "changes": ("missing_changes",),
    "conversion": (
        "Conversion",
        "convert",
        "convert_source",
        "write_plan",
    ),
    "options": (
        "DEFAULT_PREFILL_LENGTHS",
        "RECIPE_NAMES",
        "STATIC_RECIPES",
        "ConvertOptions",
        "with_static_shapes",
    ),
    "plan": (
        "ConversionPlan",
        "count_parameters",
        "plan_conversion",
        "signatures",
    ),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
