"""bitsandbytes: NF4 and FP4 in blocks of a flat weight, or int8 with a scale per row.

Four bits: `weight` has two values a byte, the first in the high four bits, `weight.quant_map` is
the table of 16 values and `weight.absmax` the scale of each block. With double quantization the
scales are bytes that index `weight.nested_quant_map`, multiplied by `weight.nested_absmax` in
blocks and shifted by an offset. `weight.quant_state.bitsandbytes__nf4` is JSON with the sizes
(bitsandbytes, `functional.py`, QuantState). Eight bits: `weight` is int8 and `SCB` the largest
magnitude of each row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import is_count, parse_json_object
from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.checkpoint.quantized.parts import (
    check_part,
    dequantized_tensor,
    floats,
    matrix_shape,
    missing_part,
    nibbles,
    rows_of,
    values,
)
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor
from litertlm.errors import DamagedCheckpoint

_STATE = ".quant_state.bitsandbytes__"
_ITEMS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")
_PER_INT8 = np.float32(7.874015718698502e-3)  # 1 / 127, as bitsandbytes writes it
_STATE_LIMIT = 1 << 16  # bytes


def check(config: QuantConfig) -> None:
    """Check the keys that change what is stored.

    Raises:
        UnsupportedModel: neither 4 nor 8 bits.
    """
    if _has_four_bits(config):
        config.choice("bnb_4bit_quant_type", ("nf4", "fp4"), "fp4")
    elif not (config.values.get("load_in_8bit") or config.values.get("_load_in_8bit")):
        raise config.unsupported("load_in_4bit", "and load_in_8bit are both false")


def _has_four_bits(config: QuantConfig) -> bool:
    return bool(config.values.get("load_in_4bit") or config.values.get("_load_in_4bit"))


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return 4 if _has_four_bits(config) else 8


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with quantized weights and their parts as one; see the package."""
    states = {
        name[: name.index(_STATE)]: tensor for name, tensor in tensors.items() if _STATE in name
    }
    result: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        module, _, last = name.rpartition(".")
        if _STATE in name or any(name == weight + item for item in _ITEMS for weight in _of(name)):
            continue
        if last in ("SCB", "weight_format") and f"{module}.weight" in tensors:
            continue
        scales = tensors.get(f"{module}.SCB") if last == "weight" else None
        if name in states:
            result[name] = _four_bits(tensor, states[name], tensors)
        elif scales is not None and tensor.dtype == "I8":
            result[name] = _int8(config, tensor, scales, tensors.get(f"{module}.weight_format"))
        else:
            result[name] = tensor
    return result


def _of(name: str) -> tuple[str, ...]:
    """The weight that `name` may be an item of."""
    weight, _, _ = name.rpartition(".")
    return (weight,) if weight.endswith(".weight") else ()


def _int8(
    config: QuantConfig,
    weight: SafetensorsTensor,
    scales: SafetensorsTensor,
    order: SafetensorsTensor | None,
) -> StoredTensor:
    out, _ = matrix_shape(weight)
    check_part(scales, ("F32", "F16", "BF16"), (out,))
    if order is not None and values(order).any():
        raise config.unsupported_form(
            f"{weight.name} has the values in an order for the tensor cores of a GPU; "
            "only rows can be read"
        )

    def rows(start: int, stop: int) -> NDArray[np.float32]:
        block = rows_of(weight, start, stop).astype(np.float32)
        block *= floats(scales, start, stop)[:, None]
        block *= _PER_INT8
        return block

    return dequantized_tensor(weight.name, weight.shape, (weight, scales), rows)


@dataclass(frozen=True)
class _State:
    """What the JSON of a weight says.

    Attributes:
        shape: of the weight.
        block: values that share a scale.
        nested: scales that share a scale of their own, and the offset of all; or None.
    """

    shape: tuple[int, ...]
    block: int
    nested: tuple[int, float] | None


def _four_bits(
    weight: SafetensorsTensor,
    state_tensor: SafetensorsTensor,
    tensors: Mapping[str, SafetensorsTensor],
) -> StoredTensor:
    state = _read_state(state_tensor)
    count = math.prod(state.shape)
    if weight.nbytes != -(-count // 2):
        raise DamagedCheckpoint(
            f"Tensor {weight.name} does not fit its quant_state.",
            why=f"It has {weight.nbytes:,} bytes for {count:,} values of 4 bits.",
        )
    blocks = -(-count // state.block)
    parts = {item: tensors.get(weight.name + item) for item in _ITEMS}
    wanted = _ITEMS if state.nested else _ITEMS[:2]
    found: list[SafetensorsTensor] = []
    for item in wanted:
        part = parts[item]
        if part is None:
            raise missing_part(weight.name + item, f"{weight.name}{_STATE[:-2]}")
        found.append(part)
    absmax, table = found[0], found[1]
    check_part(table, ("F32",), (16,))
    check_part(absmax, ("U8",) if state.nested else ("F32",), (blocks,))
    code = floats(table)
    nested_code = None
    if state.nested is not None:
        check_part(found[2], ("F32",), (-(-blocks // state.nested[0]),))
        check_part(found[3], ("F32",), (256,))
        nested_code = floats(found[3])

    def scales(first: int, last: int) -> NDArray[np.float32]:
        if state.nested is None or nested_code is None:
            return floats(absmax, first, last)
        size, offset = state.nested
        outer = first // size
        scale = floats(found[2], outer, -(-last // size))
        scale = scale[np.arange(first, last) // size - outer]
        shifted: NDArray[np.float32] = nested_code[values(absmax, first, last)] * scale
        shifted += np.float32(offset)
        return shifted

    width = math.prod(state.shape[1:])
    stored = _as_bytes(weight)

    def rows(start: int, stop: int) -> NDArray[np.float32]:
        begin, end = start * width, stop * width
        packed = values(stored, begin // 2, -(-end // 2))
        levels = nibbles(packed, high_first=True)[begin % 2 : begin % 2 + end - begin]
        first = begin // state.block
        scale = scales(first, -(-end // state.block))
        block = code[levels]
        block *= np.repeat(scale, state.block)[begin - first * state.block :][: end - begin]
        return block.reshape(stop - start, *state.shape[1:])

    return dequantized_tensor(weight.name, state.shape, (weight, *found), rows)


def _as_bytes(weight: SafetensorsTensor) -> SafetensorsTensor:
    """The tensor as bytes: `bnb_4bit_quant_storage` may name any type."""
    return SafetensorsTensor(
        weight.name, "U8", (weight.nbytes,), weight.nbytes, weight.file, weight.offset
    )


def _read_state(tensor: SafetensorsTensor) -> _State:
    check_part(tensor, ("U8",))
    if tensor.nbytes > _STATE_LIMIT:
        raise DamagedCheckpoint(f"Tensor {tensor.name} is too large.")
    state = parse_json_object(values(tensor).tobytes(), f"Tensor {tensor.name}")
    shape, block = state.get("shape"), state.get("blocksize")
    fits = isinstance(shape, list) and shape and all(map(is_count, shape)) and _positive(block)
    nested = None
    if "nested_blocksize" in state:
        size, offset = state["nested_blocksize"], state.get("nested_offset")
        if not isinstance(offset, (int, float)) or not math.isfinite(offset):
            offset = math.nan
        fits = fits and _positive(size) and not math.isnan(offset)
        nested = (size, float(offset))
    if not fits or not math.prod(shape or [0]):
        raise DamagedCheckpoint(
            f"Tensor {tensor.name} does not describe a weight.", why=f"It is {state!r:.200}."
        )
    return _State(tuple(shape or ()), int(block or 1), nested)


def _positive(value: Any) -> bool:
    return is_count(value) and 0 < value < 1 << 31
