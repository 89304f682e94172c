"""The encodings that recipes choose from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.encoding import Encoded, Encoding
from litertlm.quantize import kernels
from litertlm.quantize.int4_grid import grid_blocks


def _float32(x: NDArray[np.float32]) -> Encoded:
    return x, None


def _float16(x: NDArray[np.float32]) -> Encoded:
    return kernels.float16_rows(x), None


def _int4(x: NDArray[np.float32]) -> Encoded:
    return kernels.int4_blocks(x, INT4_BLOCK)


INT4_BLOCK = 32

FLOAT32 = Encoding("float32", 32, _float32)
FLOAT16 = Encoding("float16", 16, _float16)
INT8 = Encoding("int8", 8, kernels.int8_rows, dynamic=True)
INT8_WEIGHTS = Encoding("int8", 8, kernels.int8_rows)
INT4 = Encoding("int4", 4, _int4, block=INT4_BLOCK, dynamic=True)
# For weights that are on a grid of four bits already.
INT4_GRID = Encoding("int4", 4, grid_blocks, block=INT4_BLOCK, dynamic=True)
