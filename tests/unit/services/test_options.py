"""The light list of recipes that the command line shows."""

from __future__ import annotations

from litertlm.quantize import RECIPES
from litertlm.services.convert.options import RECIPE_NAMES, ConvertOptions


def test_the_command_line_offers_every_recipe() -> None:
    assert set(RECIPE_NAMES) == set(RECIPES)
    assert ConvertOptions().recipe in RECIPE_NAMES
