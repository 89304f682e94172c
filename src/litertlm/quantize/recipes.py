"""Recipes: which encoding each weight of a graph gets. Families never mention bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from litertlm.graph import Constant, Model
from litertlm.graph.encoding import Encoding
from litertlm.quantize.encodings import FLOAT32, INT8


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
        Recipe("none", "float32 weights, as exact as the checkpoint", FLOAT32, FLOAT32),
    )
}


def plan(model: Model, recipe: Recipe) -> Callable[[Constant], Encoding]:
    """How each constant of the model is stored: decided by its use, never by its name."""
    encodings: dict[int, Encoding] = {}
    for graph in model.graphs:
        for op in graph.ops:
            if op.kind == "embedding_lookup" or op.attrs.get("head"):
                encodings[id(op.inputs[1].constant)] = recipe.embedding
            elif op.kind == "fully_connected":
                # A tied head is the embedding table; that use comes first and wins.
                encodings.setdefault(id(op.inputs[1].constant), recipe.linear)
    return lambda constant: encodings.get(id(constant), FLOAT32)
