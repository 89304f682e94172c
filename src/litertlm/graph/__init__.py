"""A small typed graph: operations check and infer shapes when they are called."""

from litertlm.graph.types import (
    Constant,
    Dim,
    DType,
    Graph,
    GraphError,
    Model,
    Op,
    Shape,
    Size,
    Tensor,
    table,
)

__all__ = [
    "Constant",
    "DType",
    "Dim",
    "Graph",
    "GraphError",
    "Model",
    "Op",
    "Shape",
    "Size",
    "Tensor",
    "table",
]
