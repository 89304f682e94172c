"""From a recipe's name to how every weight is stored."""

from litertlm.graph.encoding import Encoding
from litertlm.quantize.encodings import INT4, INT4_GRID
from litertlm.quantize.kernels import NotFinite
from litertlm.quantize.recipes import RECIPES, Recipe, apply

__all__ = ["INT4", "INT4_GRID", "RECIPES", "Encoding", "NotFinite", "Recipe", "apply"]
