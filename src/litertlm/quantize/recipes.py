"""Recipes: which encoding each weight of a graph gets. Families never mention bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from litertlm.graph import Constant, Model
from litertlm.graph.encoding import Encoding
from litertlm.quantize.encodings import FLOAT16, FLOAT32, INT4, INT4_GRID, INT8, INT8_WEIGHTS
from litertlm.quantize.int4_grid import find_grid
from litertlm.quantize.level_shift import add_shifts
from litertlm.quantize.rotate import rotate


@dataclass(frozen=True)
class Recipe:
    """A named choice of encodings.

    Attributes:
        name: what `--quantize` takes.
        summary: one line for --help and docs.
        linear: encoding of matrices of linear layers.
        embedding: encoding of embedding tables, and of the head (which may be the same table).
    """

    name: str
    summary: str
    linear: Encoding
    embedding: Encoding


RECIPES = {
    r.name: r
    for r in (
        Recipe("dynamic_int8", "8-bit weights, activations quantized per token", INT8, INT8),
        Recipe("int8", "8-bit weights, float activations", INT8_WEIGHTS, INT8_WEIGHTS),
        Recipe("fp16", "16-bit float weights", FLOAT16, FLOAT16),
        Recipe("none", "float32 weights, as exact as the checkpoint", FLOAT32, FLOAT32),
        Recipe("dynamic_int4", "4-bit weights in blocks of 32, 8-bit embeddings", INT4, INT8),
    )
}


def apply(model: Model, recipe: Recipe) -> Callable[[Constant], Encoding]:
    """Prepare the graph for a recipe, in place; returns the encoding of each of its constants.

    The encoding follows from the use of a constant, never from its name. With int4, a few rows of
    each weight of a linear layer are read, to find weights that are on a grid already.
    """
    linear, embedding = _weights(model)
    grids = {weight: find_grid(weight) for weight in linear} if recipe.linear is INT4 else {}
    kept = {weight for weight, grid in grids.items() if grid is not None}
    shifts: set[Constant] = set()
    if recipe.linear.dynamic:
        rotate(model, linear - kept)
        shifts = add_shifts(model, {w for w, grid in grids.items() if grid and grid.reaches_8})
        linear, embedding = _weights(model)

    def encoding(constant: Constant) -> Encoding:
        if constant in embedding:
            return recipe.embedding
        if constant not in linear:
            return FLOAT32
        if constant in kept:
            return INT4_GRID
        if constant in shifts:
            return INT8
        # Rows that are not a multiple of a block are stored as int8.
        block = recipe.linear.block
        return INT8 if block and constant.shape[1] % block else recipe.linear

    return encoding


def _weights(model: Model) -> tuple[set[Constant], set[Constant]]:
    """The weights of linear layers, and the embedding tables and heads (a tied head is the
    embedding table)."""
    linear: set[Constant] = set()
    embedding: set[Constant] = set()
    for graph in model.graphs:
        for op in graph.ops:
            if op.kind not in ("embedding_lookup", "fully_connected"):
                continue
            constant = op.inputs[1].constant
            if constant is None or not constant.weight:
                continue
            if op.kind == "embedding_lookup" or op.attrs.get("head"):
                embedding.add(constant)
            else:
                linear.add(constant)
    return linear - embedding, embedding
