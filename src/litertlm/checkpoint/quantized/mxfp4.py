"""MXFP4: four-bit floats in blocks of 32 with a power of two each, `*_blocks` and `*_scales`.

`NAME_blocks` [..., out, in / 32, 16] has two values a byte, the first in the low four bits, and
`NAME_scales` [..., out, in / 32] the exponents with a bias of 127 (transformers,
`integrations/mxfp4.py`). The tensor NAME is [..., out, in].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.checkpoint.quantized.parts import (
    FLOAT4,
    Rows,
    check_part,
    dequantized_tensor,
    missing_part,
    nibbles,
    powers_of_two,
    rows_of,
)
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor
from litertlm.errors import DamagedCheckpoint

_BLOCKS, _SCALES = "_blocks", "_scales"
_HALF = 16  # bytes of a block


def check(config: QuantConfig) -> None:
    """There is one form; nothing to check."""


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return 4


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with blocks and scales as one; see the package."""
    result: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALES) and name.removesuffix(_SCALES) + _BLOCKS in tensors:
            continue
        if not name.endswith(_BLOCKS):
            result[name] = tensor
            continue
        plain = name.removesuffix(_BLOCKS)
        scales = tensors.get(plain + _SCALES)
        if scales is None:
            raise missing_part(plain + _SCALES, name)
        result[plain] = _weight(plain, tensor, scales)
    return result


def _weight(name: str, blocks: SafetensorsTensor, scales: SafetensorsTensor) -> StoredTensor:
    check_part(blocks, ("U8",))
    if len(blocks.shape) < 3 or not prod(blocks.shape) or blocks.shape[-1] != _HALF:
        raise DamagedCheckpoint(
            f"Tensor {blocks.name} is not made of MXFP4 blocks.",
            why=f"Its shape is {list(blocks.shape)}, but should end with {_HALF} bytes a block.",
        )
    check_part(scales, ("U8", "F8_E8M0"), blocks.shape[:-1])
    shape = (*blocks.shape[:-2], blocks.shape[-2] * 2 * _HALF)
    read = packed_rows(blocks, scales, shape)
    return dequantized_tensor(name, shape, (blocks, scales), read)


def packed_rows(
    packed: SafetensorsTensor, scales: SafetensorsTensor, shape: tuple[int, ...]
) -> Rows:
    """Reads rows of a tensor of `shape`, whose blocks are consecutive in both parts."""
    flat = replace(packed, shape=(shape[0], prod(packed.shape[1:])))
    exponents = replace(scales, shape=(shape[0], prod(scales.shape[1:])))

    def read(start: int, stop: int) -> NDArray[np.float32]:
        levels = FLOAT4[nibbles(rows_of(flat, start, stop))].reshape(-1, 2 * _HALF)
        levels *= powers_of_two(rows_of(exponents, start, stop)).reshape(-1, 1)
        return levels.reshape(stop - start, *shape[1:])

    return read
