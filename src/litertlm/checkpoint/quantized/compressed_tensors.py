"""compressed-tensors: FP8, int8, packed int4 and int8, and MXFP4, as llm-compressor writes them.

`config_groups` gives the scheme of the modules that its `targets` name. `weight_scale` is one
value, [out, 1], [out, G], or a grid of blocks. Integers may have `weight_zero_point`. Packed
integers are `weight_packed` [out, in * bits / 32], offset by half their range, the first in the
lowest bits, with `weight_shape`; their zero points are packed likewise along `out`
(compressed-tensors 0.20, `compressors/`). Schemes of activations and of the KV cache are only for
arithmetic in FP8 or int8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.quantized.config import QuantConfig
from litertlm.checkpoint.quantized.grid import (
    Grid,
    Layout,
    grid_of,
    integer_grid,
    layout,
    plain_values,
    scaled_rows,
)
from litertlm.checkpoint.quantized.mxfp4 import packed_rows
from litertlm.checkpoint.quantized.parts import (
    Rows,
    check_part,
    dequantized_tensor,
    matrix_shape,
    missing_part,
    nibbles,
    rows_of,
    values,
)
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor
from litertlm.errors import DamagedCheckpoint

_FORMATS = (
    "dense", "naive-quantized", "float-quantized", "int-quantized", "pack-quantized",
    "mixed-precision", "mxfp4-pack-quantized",
)  # fmt: skip
_STRATEGIES = ("tensor", "channel", "group", "block")
_FLOATS = ("F32", "F16", "BF16")
_PARTS = (
    ".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx",
)  # fmt: skip
# Scales of activations and of the KV cache.
_ACTIVATIONS = re.compile(
    r".*\.(input|output|q|k|v)_(scale|zero_point|global_scale)|.*\.input_global_scale"
)


@dataclass(frozen=True)
class _Scheme:
    """How the weights of a group of modules are stored."""

    targets: tuple[str, ...]
    bits: int
    kind: str
    block: tuple[int, int] | None
    symmetric: bool


def check(config: QuantConfig) -> tuple[_Scheme, ...]:
    """The schemes of all groups of modules.

    Raises:
        UnsupportedModel: a key that is not supported.
    """
    config.choice("format", _FORMATS, "dense")
    transforms = config.section("transform_config")
    transforms.must_be_empty("config_groups", "rotations of activations")
    sparsity = config.section("sparsity_config")
    sparsity.choice("format", ("dense",), "dense")
    groups = config.section("config_groups")
    schemes = (_scheme(groups.section(name)) for name in groups.values)
    return tuple(scheme for scheme in schemes if scheme is not None)


def _scheme(group: QuantConfig) -> _Scheme | None:
    group.choice("format", _FORMATS, "dense")
    weights = group.section("weights")
    if not weights.values:
        return None
    kind = weights.choice("type", ("int", "float"), "int")
    bits = weights.choice("num_bits", (4, 8), 8)
    strategy = weights.choice("strategy", _STRATEGIES, "tensor")
    symmetric = weights.choice("symmetric", (True, False), True)
    block = weights.optional_pair("block_structure")
    if strategy == "group":
        size = weights.size("group_size", -1)
        block = None if size == -1 else (1, size)
    targets = group.values.get("targets")
    if not isinstance(targets, list) or not all(isinstance(one, str) for one in targets):
        raise group.unsupported("targets", f"is {targets!r:.100}, but must be a list of names")
    for target in targets:
        if target.startswith("re:"):
            _pattern(group, target)
    return _Scheme(tuple(targets), bits, kind, block, symmetric)


def bits(config: QuantConfig) -> int:
    """Bits of a value."""
    return max((scheme.bits for scheme in check(config)), default=16)


def read(config: QuantConfig, tensors: Mapping[str, SafetensorsTensor]) -> dict[str, StoredTensor]:
    """The tensors, with the parts of each quantized weight as one; see the package."""
    schemes = check(config)
    result: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        module, _, last = name.rpartition(".")
        quantized = f"{module}.weight_scale" in tensors
        if _ACTIVATIONS.fullmatch(name):
            continue
        if quantized and last in ("weight", "weight_packed"):
            scheme = _scheme_of(config, module, schemes)
            result[f"{module}.weight"] = _weight(config, module, scheme, tensors)
        elif not (quantized and name.endswith(_PARTS)):
            result[name] = tensor
    return result


def _scheme_of(config: QuantConfig, module: str, schemes: tuple[_Scheme, ...]) -> _Scheme:
    """The scheme whose targets name the module; else the pattern; else the class."""
    if len(schemes) == 1:
        return schemes[0]
    kind = "Embedding" if module.endswith("embed_tokens") else "Linear"
    tests = (
        lambda target: target == module,
        lambda target: target.startswith("re:") and re.match(target[3:], module) is not None,
        lambda target: target == kind,
    )
    for test in tests:
        for scheme in schemes:
            if any(map(test, scheme.targets)):
                return scheme
    raise config.unsupported("config_groups", f"has no scheme for the quantized module {module}")


def _weight(
    config: QuantConfig,
    module: str,
    scheme: _Scheme,
    tensors: Mapping[str, SafetensorsTensor],
) -> StoredTensor:
    name = f"{module}.weight"
    scale = tensors[f"{module}.weight_scale"]
    packed, plain = tensors.get(f"{module}.weight_packed"), tensors.get(name)
    if scheme.kind == "float" and scheme.bits == 4:
        return _float4(config, name, packed, scale, scheme)
    if packed is None:
        assert plain is not None
        shape = matrix_shape(plain)
        check_part(plain, ("I8",) if scheme.kind == "int" else ("F8_E4M3",))
        stored, decode = plain, plain_values(plain)
    else:
        if scheme.kind != "int":
            raise config.unsupported_form(f"{packed.name} has packed floats of 8 bits")
        shape = _packed_shape(module, packed, scheme.bits, tensors)
        stored, decode = packed, _packed_integers(packed, scheme.bits, shape)
    check_part(scale, _FLOATS)
    places = layout(name, shape, scale.shape, scheme.block)
    parts = [stored, scale]
    group_of = tensors.get(f"{module}.weight_g_idx")
    if group_of is not None:
        places = Layout(places.grid, places.block, _groups(group_of, shape[1], places.grid[1]))
        parts.append(group_of)
    zeros, zero_part = None, tensors.get(f"{module}.weight_zero_point")
    if zero_part is None and not scheme.symmetric:
        raise missing_part(f"{module}.weight_zero_point", scale.name)
    if zero_part is not None:
        parts.append(zero_part)
        zeros = _zeros(zero_part, places, scheme, packed is not None)
    rows = scaled_rows(decode, places, grid_of(scale, places), shape[1], zeros)
    return dequantized_tensor(name, shape, parts, rows)


def _packed_shape(
    module: str, packed: SafetensorsTensor, bits: int, tensors: Mapping[str, SafetensorsTensor]
) -> tuple[int, int]:
    stored = tensors.get(f"{module}.weight_shape")
    if stored is None:
        raise missing_part(f"{module}.weight_shape", packed.name)
    check_part(stored, ("I64", "I32"), (2,))
    out, width = (int(size) for size in values(stored))
    if not (0 < out < 1 << 31 and 0 < width < 1 << 31):
        raise DamagedCheckpoint(f"Tensor {stored.name} is {[out, width]}.")
    check_part(packed, ("I32",), (out, -(-width * bits // 32)))
    return out, width


def _packed_integers(packed: SafetensorsTensor, bits: int, shape: tuple[int, int]) -> Rows:
    def read(start: int, stop: int) -> NDArray[np.float32]:
        levels = _unpacked(rows_of(packed, start, stop), bits)
        return np.ascontiguousarray(levels[:, : shape[1]])

    return read


def _unpacked(words: NDArray[np.int32], bits: int) -> NDArray[np.float32]:
    """Signed values [rows, n * 32 / bits] from words [rows, n]."""
    levels = words.view(np.uint8) if bits == 8 else nibbles(words)
    signed = levels.astype(np.float32)
    signed -= np.float32(1 << (bits - 1))
    return signed


def _zeros(part: SafetensorsTensor, places: Layout, scheme: _Scheme, packed: bool) -> Grid:
    rows, groups = places.grid
    if part.dtype != "I32":
        check_part(part, ("I8",))
        if prod(part.shape) != rows * groups:
            check_part(part, ("I8",), (rows, groups))
        return integer_grid(part, places)
    check_part(part, ("I32",), (-(-rows * scheme.bits // 32), groups))
    per_word = 32 // scheme.bits

    def read(start: int, stop: int) -> NDArray[np.float32]:
        first = start // per_word
        words = rows_of(part, first, -(-stop // per_word))
        unpacked = _unpacked(np.ascontiguousarray(words.T), scheme.bits).T
        return np.ascontiguousarray(unpacked[start - first * per_word : stop - first * per_word])

    return read


def _groups(part: SafetensorsTensor, width: int, groups: int) -> NDArray[np.int64]:
    check_part(part, ("I32", "I64"), (width,))
    group_of = values(part).astype(np.int64)
    if group_of.min() < 0 or group_of.max() >= groups:
        raise DamagedCheckpoint(
            f"Tensor {part.name} names groups that do not exist.",
            why=f"There are {groups} groups, counted from 0.",
        )
    return group_of


def _float4(
    config: QuantConfig,
    name: str,
    packed: SafetensorsTensor | None,
    scale: SafetensorsTensor,
    scheme: _Scheme,
) -> StoredTensor:
    """MXFP4: blocks of 32 four-bit floats with exponents."""
    if packed is None or scheme.block != (1, 32) or scale.dtype not in ("U8", "F8_E8M0"):
        raise config.unsupported_form(
            f"{name} has four-bit floats; of these only MXFP4 (groups of 32) can be read"
        )
    check_part(packed, ("U8",))
    out, half = matrix_shape(packed)
    shape = (out, 2 * half)
    check_part(scale, ("U8", "F8_E8M0"), (out, half // 16))
    return dequantized_tensor(name, shape, (packed, scale), packed_rows(packed, scale, shape))


def _pattern(group: QuantConfig, target: str) -> None:
    try:
        re.compile(target[3:])
    except re.error:
        raise group.unsupported("targets", f"has the invalid pattern {target!r:.100}") from None
