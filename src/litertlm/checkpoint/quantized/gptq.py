"""GPTQ: `qweight` [in / 8, out], `qzeros`, `scales` and the groups of inputs, `g_idx`.

The first version of the format (`gptq`) stores zero points less one; `gptq_v2` stores them as they
are. As in GPTQModel (`utils/model.py`, the conversion from v1 to v2), the one is added to complete
words, so that a zero point of 16 carries into its neighbour. With `desc_act`, the inputs of a group
are not consecutive; `g_idx` names the group of each.
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
_ONES = {4: np.uint32(0x11111111), 8: np.uint32(0x01010101)}


def check(config: QuantConfig) -> tuple[Packing, int]:
    """The packing and `group_size`.

    Raises:
        UnsupportedModel: a key that is not supported.
    """
    bits = config.choice("bits", (4, 8), None)
    config.choice("pack_dtype", ("int32",), "int32")
    config.must_be_empty("dynamic", "other bits or groups for some modules")
    # Newer files have both keys, and older ones the second.
    name = "format" if config.values.get("checkpoint_format") is None else "checkpoint_format"
    version = config.choice(name, ("gptq", "gptq_v2"), "gptq")
    one = _ONES[bits]

    def outputs(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
        return words.view(np.uint8) if bits == 8 else nibbles(words)

    def inputs(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
        count = 32 // bits
        unpacked = outputs(words).reshape(*words.shape, count)
        rows: NDArray[np.uint8] = unpacked.swapaxes(1, 2).reshape(-1, words.shape[1])
        return rows

    packing = Packing(
        bits=bits,
        packed_inputs=True,
        unpack_outputs=outputs,
        unpack_inputs=inputs,
        adjust_zeros=(lambda words: words + one) if version == "gptq" else (lambda words: words),
    )
    return packing, config.size("group_size", _DEFAULT_GROUP)


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return check(config)[0].bits


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with the parts of each module as one `weight`; see the package."""
    return read_modules(tensors, *check(config))
