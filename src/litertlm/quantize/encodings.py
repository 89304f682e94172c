"""The encodings that recipes choose from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litertlm.graph.encoding import Encoded, Encoding
from litertlm.quantize import kernels


def _float32(x: NDArray[np.float32]) -> Encoded:
    return x, None


FLOAT32 = Encoding("float32", 32, _float32)
INT8 = Encoding("int8", 8, kernels.int8_rows, dynamic=True)
