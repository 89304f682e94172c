"""AWQ in the packing `gemm`: `qweight` [in, out / 8], `qzeros` and `scales`.

A word has eight outputs, in the order 0, 2, 4, 6, 1, 3, 5, 7 from its lowest four bits (AutoAWQ,
`awq/utils/packing_utils.py`). The scales that AWQ applies to activations are already in the norms
and weights before.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.checkpoint.quantized.packed_columns import Packing, read_modules
from litertlm.checkpoint.quantized.parts import nibbles
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor

_DEFAULT_GROUP = 128
# Where each output is in its word.
_PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7])


def check(config: QuantConfig) -> int:
    """`group_size`.

    Raises:
        UnsupportedModel: a key that is not supported.
    """
    # Early files have the names that AutoAWQ itself uses.
    config.choice("bits" if "bits" in config.values else "w_bit", (4,), 4)
    name = "version" if "version" in config.values else "format"
    config.choice(name, ("gemm", "GEMM"), "gemm")
    config.choice("backend", ("auto", "autoawq"), "auto")
    group = "group_size" if "group_size" in config.values else "q_group_size"
    return config.size(group, _DEFAULT_GROUP)


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return 4


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with the parts of each module as one `weight`; see the package."""
    packing = Packing(bits=4, packed_inputs=False, unpack_outputs=_unpacked)
    return read_modules(tensors, packing, check(config))


def _unpacked(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    unpacked = nibbles(words).reshape(*words.shape, 8)[..., _PLACES]
    return unpacked.reshape(words.shape[0], -1)
