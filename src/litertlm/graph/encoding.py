"""How the values of a constant are stored: decided by quantize/, written by tflite/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Encoded = tuple[NDArray[Any], NDArray[Any] | None]


@dataclass(frozen=True)
class Encoding:
    """How values are stored.

    Attributes:
        name: `float32`, `int8`, ...
        bits: of one stored value.
        encode: rows x [rows, cols] float32 (may be overwritten) to the stored array and the
            scales, [rows] or [rows, cols / block], or None.
        block: how many values share a scale; 0 for one scale per row.
        dynamic: activations are quantized too, token by token, so that the matmul is integer;
            else the weights are dequantized to float32 when the model is loaded.
    """

    name: str
    bits: int
    encode: Callable[[NDArray[np.float32]], Encoded]
    block: int = 0
    dynamic: bool = False

    @property
    def scaled(self) -> bool:
        """Whether stored values need scales."""
        return self.bits <= 8

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Stored size of a constant, without its scales."""
        return int(np.prod(shape, dtype=np.int64)) * self.bits // 8
