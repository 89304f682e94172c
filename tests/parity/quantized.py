"""What a recipe should compute: the graph in numpy, with the weights that its kernels store.

Activations stay float32. So a bundle with float activations must compute the same, and one that
quantizes activations too may differ by that alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint import open_checkpoint
from litertlm.families import Signature, identify
from litertlm.graph import Constant
from litertlm.graph.encoding import Encoding
from litertlm.graph.evaluate import evaluate
from litertlm.graph.state import zero_states
from litertlm.quantize import RECIPES, apply
from parity.bundle import MASKED


@lru_cache(maxsize=1)  # for the kinds of shapes of one recipe
def quantized_logits(source: Path, recipe: str, ids: tuple[int, ...]) -> NDArray[np.float32]:
    """Logits after each of `ids`, `[len(ids), vocab]`, for the checkpoint folder `source`."""
    count = len(ids)
    checkpoint = open_checkpoint(source)
    signature = Signature("score", count, count, logits=True)
    model = identify(checkpoint.config).build(checkpoint, [signature])
    encoding_of = apply(model, RECIPES[recipe])
    (graph,) = model.graphs
    for tensor in graph.constants.values():
        assert tensor.constant is not None
        tensor.constant = stored_values(tensor.constant, encoding_of(tensor.constant))
    logits: NDArray[np.float32] = evaluate(
        graph,
        {
            "tokens": np.array([ids], np.int32),
            "input_pos": np.arange(count, dtype=np.int32),
            "mask": np.where(np.tri(count, dtype=bool), np.float32(0), MASKED)[None, None],
            **zero_states(graph),
        },
    )["logits"][0]
    return logits


def stored_values(constant: Constant, encoding: Encoding) -> Constant:
    """The constant with the values that are left of it in the file."""
    if not constant.weight or encoding.bits == 32 or len(constant.shape) != 2:
        return constant

    def rows(start: int, stop: int) -> NDArray[np.float32]:
        return decoded(encoding, constant.rows(start, stop))

    return replace(constant, rows=rows)


def decoded(encoding: Encoding, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """`values` [rows, cols] encoded and decoded again; overwrites them."""
    shape = values.shape
    stored, scales = encoding.encode(values)
    if scales is None:
        return stored.astype(np.float32)
    if encoding.bits == 8:
        return stored.astype(np.float32) * scales[:, None]
    # Two values a byte, the first in the low four bits; 8 to 15 stand for -8 to -1.
    levels = np.stack([stored & 15, stored >> 4], axis=-1).astype(np.int8)
    levels = np.where(levels > 7, levels - 16, levels)
    blocks = levels.reshape(shape[0], -1, encoding.block).astype(np.float32)
    return (blocks * scales.astype(np.float32)[..., None]).reshape(shape)
