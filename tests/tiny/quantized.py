"""Tiny checkpoints with quantized weights, written apart from `src/` on purpose.

Each form quantizes a matrix, packs it by the definition of its format, value by value, and says
what it stands for. Sources: compressed-tensors 0.20, GPTQModel 7.7, AutoAWQ 0.2.9, bitsandbytes
0.50, transformers 5.24.0 and the OCP microscaling formats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tiny.checkpoint import change_config, tensor_values, write_checkpoint, write_safetensors
from tiny.model import TinyModel
from tiny.shapes import tensor_shapes

Array = NDArray[Any]
Parts = dict[str, tuple[str, Array]]
"""Safetensors type and values of each tensor of a module, by its name after the module's."""


@dataclass(frozen=True)
class Form:
    """One form of quantized weights.

    Attributes:
        config: `quantization_config`.
        quantize: a matrix [out, in] to its parts, and to the float32 values that they stand for.
    """

    config: Mapping[str, Any]
    quantize: Callable[[Array, np.random.RandomState], tuple[Parts, NDArray[np.float32]]]


def write_quantized(
    model: TinyModel, form: Form, folder: Path
) -> tuple[Path, Path, dict[str, NDArray[np.float32]]]:
    """Write the model with quantized linear layers, and with the floats that these stand for.

    Returns:
        both folders, and the floats by name.
    """
    quantized = write_checkpoint(model, folder / "quantized", chat_template=None)
    plain = write_checkpoint(model, folder / "plain", chat_template=None)
    change_config(quantized, {"quantization_config": dict(form.config)})
    random = np.random.RandomState(7)
    stored: Parts = {}
    floats: dict[str, NDArray[np.float32]] = {}
    for name, shape in tensor_shapes(model).items():
        values = tensor_values(model, name, shape).astype(np.float32)
        module = name.removesuffix(".weight")
        if not module.endswith("_proj") or name.endswith("bias"):
            stored[name], floats[name] = ("F32", values), values
            continue
        parts, floats[name] = form.quantize(values, random)
        stored |= {f"{module}.{part}": value for part, value in parts.items()}
    write_parts(quantized / "model.safetensors", stored)
    write_safetensors(plain / "model.safetensors", floats, "F32")
    return quantized, plain, floats


def write_parts(path: Path, tensors: Parts) -> None:
    """Write tensors of any type in the safetensors format."""
    header: dict[str, object] = {}
    data, offset = [], 0
    for name, (dtype, values) in tensors.items():
        content = np.ascontiguousarray(values).tobytes()
        end = offset + len(content)
        header[name] = {"dtype": dtype, "shape": values.shape, "data_offsets": [offset, end]}
        data.append(content)
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


_TYPES = {
    "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64,
    "I32": np.int32, "I8": np.int8, "U8": np.uint8, "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E8M0": np.uint8,
}  # fmt: skip


def read_parts(path: Path) -> Parts:
    """Read tensors of any type from the safetensors format."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors: Parts = {}
    for name, entry in json.loads(content[8:start]).items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        values = np.frombuffer(content[begin:end], _TYPES[entry["dtype"]])
        tensors[name] = (entry["dtype"], values.reshape(entry["shape"]))
    return tensors


def words(levels: Array, bits: int) -> NDArray[np.int32]:
    """Pack unsigned levels [rows, cols] along the last axis, the first in the lowest bits."""
    rows, cols = levels.shape
    count = 32 // bits
    packed = np.zeros((rows, -(-cols // count)), np.uint64)
    for column in range(cols):
        shift = np.uint64(bits * (column % count))
        packed[:, column // count] |= levels[:, column].astype(np.uint64) << shift
    return packed.astype(np.uint32).view(np.int32)


def bfloat16(values: Array) -> tuple[Array, NDArray[np.float32]]:
    """Rounded to bfloat16: what is stored, and as float32."""
    rounded = values.astype(ml_dtypes.bfloat16)
    return rounded, rounded.astype(np.float32)


def absmax(values: Array, block: tuple[int, int]) -> NDArray[np.float32]:
    """The largest magnitude of each block, [out / rows, in / columns], rounded up."""
    rows = range(0, values.shape[0], block[0])
    columns = range(0, values.shape[1], block[1])
    return np.array(
        [[np.abs(values[r : r + block[0], c : c + block[1]]).max() for c in columns] for r in rows],
        np.float32,
    )


def spread(grid: Array, block: tuple[int, int], shape: tuple[int, ...]) -> Array:
    """A value of the grid for each value of the matrix."""
    tall = np.repeat(grid, block[0], axis=0)[: shape[0]]
    return np.repeat(tall, block[1], axis=1)[:, : shape[1]]


def fp8(block: tuple[int, int] | None, *, channel: bool = False, name: str = "weight_scale_inv"):
    """FP8 in blocks; per row; or per tensor, with a scalar scale."""

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        size = block or ((1, values.shape[1]) if channel else values.shape)
        stored, scale = bfloat16(absmax(values, size) / 448)
        wide = spread(scale, size, values.shape)
        levels = (values / wide).astype(ml_dtypes.float8_e4m3fn)
        shape = () if block is None and not channel else scale.shape
        parts = {
            "weight": ("F8_E4M3", levels),
            name: ("BF16", stored.reshape(shape)),
            ("activation_scale" if name == "weight_scale_inv" else "input_scale"): (
                "BF16",
                bfloat16(np.float32(0.5))[0],
            ),
        }
        return parts, levels.astype(np.float32) * wide

    return quantize


def mx_fp8(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
    """FP8 in blocks of 32, whose scales are exponents."""
    exponent = np.ceil(np.log2(absmax(values, (1, 32)) / 448))
    wide = spread(np.exp2(exponent), (1, 32), values.shape).astype(np.float32)
    levels = (values / wide).astype(ml_dtypes.float8_e4m3fn)
    stored = (exponent + 127).astype(np.uint8)
    parts = {"weight": ("F8_E4M3", levels), "weight_scale_inv": ("F8_E8M0", stored)}
    return parts, levels.astype(np.float32) * wide


def compressed_int8(symmetric: bool):
    """int8 with a scale for each row, as `int-quantized`."""

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        block = (1, values.shape[1])
        stored, scale = bfloat16(absmax(values, block) / 120)
        zero = random.randint(-7, 8, scale.shape).astype(np.int8)
        zero = zero * 0 if symmetric else zero
        levels = np.clip(np.rint(values / scale) + zero, -128, 127).astype(np.int8)
        parts = {"weight": ("I8", levels), "weight_scale": ("BF16", stored)}
        if not symmetric:
            parts["weight_zero_point"] = ("I8", zero)
        return parts, (levels.astype(np.float32) - zero) * scale

    return quantize


def compressed_packed(bits: int, group: int, *, symmetric: bool = True, order: bool = False):
    """Packed integers; a group of -1 is a row, and `order` gives the columns' groups."""

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        out, width = values.shape
        size = width if group == -1 else group
        columns = np.arange(width)
        if order:
            random.shuffle(columns)
        stored, scale = bfloat16(absmax(values, (1, size)) / (1 << (bits - 1)))
        zero = random.randint(-3, 4, scale.shape) * (0 if symmetric else 1)
        wide = spread(scale, (1, size), values.shape)[:, columns]
        zeros = spread(zero, (1, size), values.shape)[:, columns]
        half = 1 << (bits - 1)
        levels = np.clip(np.rint(values / wide) + zeros, -half, half - 1)
        parts: Parts = {
            "weight_packed": ("I32", words(levels + half, bits)),
            "weight_scale": ("BF16", stored),
            "weight_shape": ("I64", np.array([out, width], np.int64)),
        }
        if not symmetric:
            parts["weight_zero_point"] = ("I32", words((zero + half).T, bits).T)
        if order:
            parts["weight_g_idx"] = ("I32", (columns // size).astype(np.int32))
        return parts, ((levels - zeros).astype(np.float32)) * wide

    return quantize


def gptq(group: int, *, order: bool, first_version: bool, bits: int = 4):
    """GPTQ; `order` is `desc_act`, and the first version stores zero points less one."""

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        width = values.shape[1]
        size = width if group == -1 else group
        columns = np.arange(width)
        if order:
            random.shuffle(columns)
        half = 1 << (bits - 1)
        scale = (absmax(values, (1, size)) / half).astype(np.float16)
        zero = half + random.randint(-3, 4, scale.shape)
        wide = spread(scale.astype(np.float32), (1, size), values.shape)[:, columns]
        zeros = spread(zero, (1, size), values.shape)[:, columns]
        levels = np.clip(np.rint(values / wide) + zeros, 0, 2 * half - 1)
        parts: Parts = {
            "qweight": ("I32", words(levels, bits).T),
            "qzeros": ("I32", words(zero.T - first_version, bits)),
            "scales": ("F16", scale.T),
            "g_idx": ("I32", (columns // size).astype(np.int32)),
        }
        return parts, (levels - zeros).astype(np.float32) * wide

    return quantize


def awq(group: int):
    """AWQ: outputs interleaved in words."""
    order = np.array([0, 2, 4, 6, 1, 3, 5, 7])

    def packed(levels: Array) -> NDArray[np.int32]:
        return words(levels.reshape(len(levels), -1, 8)[..., order].reshape(levels.shape), 4)

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        scale = (absmax(values, (1, group)) / 8).astype(np.float16)
        zero = random.randint(0, 16, scale.shape)
        wide = spread(scale.astype(np.float32), (1, group), values.shape)
        zeros = spread(zero, (1, group), values.shape)
        levels = np.clip(np.rint(values / wide) + zeros, 0, 15)
        parts: Parts = {
            "qweight": ("I32", packed(levels.T)),
            "qzeros": ("I32", packed(zero.T)),
            "scales": ("F16", scale.T),
        }
        return parts, (levels - zeros).astype(np.float32) * wide

    return quantize


NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
     -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
     0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
     0.7229568362236023, 1.0], np.float32,
)  # fmt: skip
FP4 = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3], np.float32) / np.float32(12)
FP4 = np.concatenate([FP4, -FP4])


def bitsandbytes_4bit(kind: str, block: int, *, nested: bool):
    """NF4 or FP4 in blocks of the flat matrix, with scales in float32 or in bytes."""
    code = {"nf4": NF4, "fp4": FP4}[kind]

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        flat = values.reshape(-1)
        count = -(-flat.size // block)
        padded = np.pad(flat, (0, count * block - flat.size)).reshape(count, block)
        scale = np.abs(padded).max(axis=1)
        state: dict[str, Any] = {"quant_type": kind, "blocksize": block, "dtype": "float16"}
        parts: Parts = {}
        if nested:
            offset = float(scale.mean())
            table = np.sort(random.uniform(-1, 1, 256)).astype(np.float32)
            outer = np.array([np.abs(scale[i : i + 4] - offset).max() for i in range(0, count, 32)])
            outer = outer.astype(np.float32)
            which = np.arange(count) // 32
            stored = np.abs(table - ((scale - offset) / outer[which])[:, None]).argmin(axis=1)
            scale = table[stored] * outer[which] + np.float32(offset)
            parts["weight.absmax"] = ("U8", stored.astype(np.uint8))
            parts["weight.nested_absmax"] = ("F32", outer)
            parts["weight.nested_quant_map"] = ("F32", table)
            state |= {"nested_blocksize": 32, "nested_dtype": "float32", "nested_offset": offset}
        else:
            parts["weight.absmax"] = ("F32", scale)
        levels = np.abs(padded[..., None] / scale[:, None, None] - code).argmin(axis=-1)
        decoded = (code[levels] * scale[:, None]).reshape(-1)[: flat.size]
        levels = np.append(levels.reshape(-1)[: flat.size], np.zeros(flat.size % 2, np.int64))
        parts["weight"] = ("U8", (levels[::2] << 4 | levels[1::2]).astype(np.uint8)[:, None])
        parts["weight.quant_map"] = ("F32", code)
        text = json.dumps({**state, "shape": values.shape}).encode()
        parts[f"weight.quant_state.bitsandbytes__{kind}"] = ("U8", np.frombuffer(text, np.uint8))
        return parts, decoded.reshape(values.shape)

    return quantize


def bitsandbytes_int8(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
    """int8 with the largest magnitude of each row."""
    scale = np.abs(values).max(axis=1)
    levels = np.rint(values / scale[:, None] * 127).astype(np.int8)
    parts: Parts = {
        "weight": ("I8", levels),
        "SCB": ("F32", scale),
        "weight_format": ("U8", np.array(0, np.uint8)),
    }
    decoded = levels.astype(np.float32) * scale[:, None] * np.float32(7.874015718698502e-3)
    return parts, decoded


def mxfp4(blocks: str, scales: str, *, packed: bool):
    """MXFP4, by the names of its two tensors; `packed` merges the blocks of a row."""

    def quantize(values: Array, random: np.random.RandomState) -> tuple[Parts, Array]:
        exponent = np.ceil(np.log2(absmax(values, (1, 32)) / 6))
        wide = spread(np.exp2(exponent), (1, 32), values.shape).astype(np.float32)
        levels = (values / wide).astype(ml_dtypes.float4_e2m1fn)
        bits = levels.view(np.uint8)
        bytes_ = (bits[:, ::2] | bits[:, 1::2] << 4).astype(np.uint8)
        shape = bytes_.shape if packed else (len(values), -1, 16)
        parts: Parts = {
            blocks: ("U8", bytes_.reshape(shape)),
            scales: ("U8", (exponent + 127).astype(np.uint8)),
        }
        return parts, levels.astype(np.float32) * wide

    return quantize


def _compressed(form: str, **weights: Any) -> dict[str, Any]:
    scheme = {"targets": ["Linear"], "weights": weights, "input_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": scheme},
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
    }


def _gptq(**values: Any) -> dict[str, Any]:
    return {"quant_method": "gptq", "bits": 4, "sym": False, **values}


def _bnb4(kind: str) -> dict[str, Any]:
    return {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "load_in_8bit": False,
        "bnb_4bit_quant_type": kind,
        "llm_int8_skip_modules": ["lm_head"],
    }


_FP8 = {"quant_method": "fp8", "activation_scheme": "static", "fmt": "e4m3"}

FORMS = {
    "fp8-blocks": Form({**_FP8, "weight_block_size": [16, 24]}, fp8((16, 24))),
    "fp8-tensor": Form(
        {**_FP8, "weight_block_size": None, "modules_to_not_convert": ["lm_head"]}, fp8(None)
    ),
    "fp8-exponents": Form({**_FP8, "scale_fmt": "ue8m0", "weight_block_size": [1, 32]}, mx_fp8),
    "compressed-fp8-rows": Form(
        _compressed("float-quantized", num_bits=8, type="float", strategy="channel"),
        fp8(None, channel=True, name="weight_scale"),
    ),
    "compressed-fp8-tensor": Form(
        _compressed("float-quantized", num_bits=8, type="float", strategy="tensor"),
        fp8(None, name="weight_scale"),
    ),
    "compressed-fp8-blocks": Form(
        _compressed(
            "float-quantized", num_bits=8, type="float", strategy="block", block_structure=[24, 16]
        ),
        fp8((24, 16), name="weight_scale"),
    ),
    "compressed-int8": Form(
        _compressed("int-quantized", num_bits=8, type="int", strategy="channel"),
        compressed_int8(symmetric=True),
    ),
    "compressed-int8-zeros": Form(
        _compressed("int-quantized", num_bits=8, type="int", strategy="channel", symmetric=False),
        compressed_int8(symmetric=False),
    ),
    "compressed-packed4-groups": Form(
        _compressed("pack-quantized", num_bits=4, type="int", strategy="group", group_size=16),
        compressed_packed(4, 16),
    ),
    "compressed-packed4-rows-zeros": Form(
        _compressed("pack-quantized", num_bits=4, type="int", strategy="channel", symmetric=False),
        compressed_packed(4, -1, symmetric=False),
    ),
    "compressed-packed4-zeros": Form(
        _compressed(
            "pack-quantized", num_bits=4, type="int", strategy="group", group_size=16,
            symmetric=False,
        ),
        compressed_packed(4, 16, symmetric=False),
    ),
    "compressed-packed4-order": Form(
        _compressed(
            "pack-quantized", num_bits=4, type="int", strategy="group", group_size=16,
            actorder="group",
        ),
        compressed_packed(4, 16, order=True),
    ),
    "compressed-packed8": Form(
        _compressed("pack-quantized", num_bits=8, type="int", strategy="group", group_size=32),
        compressed_packed(8, 32),
    ),
    "compressed-mxfp4": Form(
        _compressed(
            "mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32
        ),
        mxfp4("weight_packed", "weight_scale", packed=True),
    ),
    "gptq": Form(
        _gptq(group_size=16, desc_act=False), gptq(16, order=False, first_version=True)
    ),
    "gptq-order": Form(
        _gptq(group_size=16, desc_act=True, checkpoint_format="gptq"),
        gptq(16, order=True, first_version=True),
    ),
    "gptq-v2": Form(
        _gptq(group_size=-1, checkpoint_format="gptq_v2"),
        gptq(-1, order=False, first_version=False),
    ),
    "gptq-8bit": Form(
        _gptq(bits=8, group_size=32), gptq(32, order=False, first_version=True, bits=8)
    ),
    "awq": Form(
        {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm", "zero_point": True},
        awq(16),
    ),
    "bitsandbytes-nf4": Form(_bnb4("nf4"), bitsandbytes_4bit("nf4", 64, nested=False)),
    "bitsandbytes-nf4-nested": Form(_bnb4("nf4"), bitsandbytes_4bit("nf4", 64, nested=True)),
    "bitsandbytes-fp4": Form(_bnb4("fp4"), bitsandbytes_4bit("fp4", 64, nested=False)),
    "bitsandbytes-int8": Form(
        {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True},
        bitsandbytes_int8,
    ),
    "mxfp4": Form(
        {"quant_method": "mxfp4"}, mxfp4("weight_blocks", "weight_scales", packed=False)
    ),
}  # fmt: skip
"""Every form that is read."""
