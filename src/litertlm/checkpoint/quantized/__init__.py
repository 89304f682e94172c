"""Checkpoints whose weights are quantized already, read as float32 by rows.

config.json names the method (`quantization_config.quant_method`), and each method has a module
here. A module has `check(config)`, which reads the config alone, `bits(config)` of a value, and
`read(config, tensors)`, which replaces the tensors of every quantized weight by one
`DequantizedTensor`. Weights that the method left alone (`modules_to_not_convert`, `ignore`) have
no scales, and stay as they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.errors import UnsupportedModel

if TYPE_CHECKING:  # a config is checked without numpy
    from litertlm.checkpoint.safetensors import SafetensorsTensor
    from litertlm.checkpoint.types import StoredTensor

# Keys that transformers, compressed-tensors and MLX write.
_KEYS = ("quantization_config", "compression_config", "quantization")

# quant_method of config.json -> module.
_METHODS = {
    "awq": "awq",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed_tensors",
    "fp8": "fp8",
    "gptq": "gptq",
    "mxfp4": "mxfp4",
}


class _Method(Protocol):
    def check(self, config: QuantConfig) -> object: ...
    def bits(self, config: QuantConfig) -> int: ...
    def read(
        self, config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]
    ) -> dict[str, StoredTensor]: ...


def check_quantization(source: str, config: Mapping[str, Any]) -> None:
    """Check from the config alone that the weights can be read.

    Args:
        source: names the file in messages.
        config: the parsed config.json.

    Raises:
        UnsupportedModel: a method, or a form of it, that cannot be read; the key is named.
    """
    found = _quantization(source, config)
    if found is not None:
        method, section = found
        method.check(section)


def stored_bits(config: Mapping[str, Any]) -> float | None:
    """Bits of a quantized weight, its scales included, about; None if there are none."""
    found = _quantization("config.json", config)
    if found is None:
        return None
    method, section = found
    bits = method.bits(section)
    return bits + 0.5 if bits < 8 else bits


def dequantized(
    source: str, config: Mapping[str, Any], tensors: Mapping[str, SafetensorsTensor]
) -> Mapping[str, StoredTensor]:
    """The tensors of a checkpoint, with every quantized weight as one tensor of floats.

    Reads headers, and the few bytes in which bitsandbytes describes a weight.

    Raises:
        UnsupportedModel: as `check_quantization`, or a weight has no scales.
        DamagedCheckpoint: the parts of a weight do not fit each other.
    """
    found = _quantization(source, config)
    if found is None:
        return tensors
    from litertlm.checkpoint.quantized.parts import QUANTIZED_TYPES
    from litertlm.checkpoint.safetensors import SafetensorsTensor

    method, section = found
    method.check(section)
    read = method.read(section, tensors)
    for name, tensor in read.items():
        plain = isinstance(tensor, SafetensorsTensor) and name.endswith(".weight")
        if plain and tensor.dtype in QUANTIZED_TYPES:
            raise section.unsupported_form(
                f"tensor {name} is stored as {tensor.dtype} and has no scales"
            )
    return read


def _quantization(source: str, config: Mapping[str, Any]) -> tuple[_Method, QuantConfig] | None:
    text = config.get("text_config")
    sections = (config, text) if isinstance(text, Mapping) else (config,)
    for values in sections:
        key = next((key for key in _KEYS if values.get(key)), None)
        if key is not None:
            section = values[key] if isinstance(values[key], Mapping) else {}
            method = str(section.get("quant_method") or "by an unnamed method")
            found = QuantConfig(source, key, method, section)
            if key == "quantization" or method not in _METHODS:
                raise _unknown(found)
            module: Any = importlib.import_module(f"{__name__}.{_METHODS[method]}")
            return module, found
    return None


def _unknown(config: QuantConfig) -> UnsupportedModel:
    return UnsupportedModel(
        f"The weights are already quantized ({config.method:.100}).",
        why=f"{config.source} has the key {config.key}; besides BF16, F16 and F32 weights, these "
        f"forms are read: {', '.join(_METHODS)}.",
        hint="Use the original checkpoint and --quantize.",
    )
