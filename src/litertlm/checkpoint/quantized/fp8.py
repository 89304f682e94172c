"""FP8 as DeepSeek and Ministral 3 store it: `weight` in FP8 and `weight_scale_inv` beside it.

A weight is `weight * weight_scale_inv`, with a scale for each block of `weight_block_size`, or one
for the tensor where that is null (transformers, `integrations/finegrained_fp8.py`). Scales of
activations (`activation_scale`) are only for arithmetic in FP8.
"""

from __future__ import annotations

from collections.abc import Mapping

from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.checkpoint.quantized.grid import grid_of, layout, plain_values, scaled_rows
from litertlm.checkpoint.quantized.parts import check_part, dequantized_tensor, matrix_shape
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor

_SCALE = "_scale_inv"
_ACTIVATION = (".activation_scale", ".input_scale")
_DEFAULT_BLOCK = (128, 128)  # of transformers' FineGrainedFP8Config
_VALUES = ("F8_E4M3", "F8_E5M2")
_SCALES = ("F32", "BF16", "F16", "F8_E8M0", "U8")


def check(config: QuantConfig) -> tuple[int, int] | None:
    """`weight_block_size`, or None for one scale per tensor.

    Raises:
        UnsupportedModel: a key that is not supported.
    """
    config.choice("fmt", ("e4m3", "float8_e4m3fn", "e5m2", "float8_e5m2"), "e4m3")
    config.choice("scale_fmt", ("float", "ue8m0"), "float")
    config.choice("expert_dtype", ("fp8",), "fp8")
    if "weight_block_size" not in config.values:
        return _DEFAULT_BLOCK
    return config.optional_pair("weight_block_size")


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return 8


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with FP8 weights multiplied by their scales; see the package."""
    block = check(config)
    result: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        if name.endswith((_SCALE, *_ACTIVATION)):
            continue
        scale = tensors.get(name + _SCALE)
        result[name] = tensor if scale is None else _weight(tensor, scale, block)
    return result


def _weight(
    weight: SafetensorsTensor, scale: SafetensorsTensor, block: tuple[int, int] | None
) -> StoredTensor:
    check_part(weight, _VALUES)
    check_part(scale, _SCALES)
    shape = matrix_shape(weight)
    places = layout(weight.name, shape, scale.shape, block)
    rows = scaled_rows(plain_values(weight), places, grid_of(scale, places), shape[1])
    return dequantized_tensor(weight.name, weight.shape, (weight, scale), rows)
