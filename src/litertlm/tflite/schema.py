"""The tables of the TFLite schema that we write, by slot number.

Source: google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs (version 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from litertlm.graph import DType
from litertlm.tflite.flatbuffer import Builder, Ref

IDENTIFIER = b"TFL3"

# TensorType
TYPES = {DType.FLOAT32: 0, DType.INT32: 2, DType.BOOL: 6}
FLOAT16, INT8, INT4 = 1, 9, 17

# The fields of Buffer when its data is outside of the flatbuffer: offset and size.
EXTERNAL_BUFFER = "1Q 2Q"

# The fields of QuantizationParameters along axis 0: the offset of its scales, which are elsewhere
# in the file, and its zero points.
PER_CHANNEL = "2I 3o"


def operator_code(b: Builder, builtin: int, version: int, custom: str = "") -> Ref:
    """OperatorCode; codes above 127 have the placeholder in the old 8-bit field."""
    if custom:
        return b.table("0b 1o 2i 3i", builtin, b.string(custom), version, builtin)
    return b.table("0b 2i 3i", min(builtin, 127), version, builtin)


def per_channel(b: Builder, zero_points: Ref) -> Ref:
    """QuantizationParameters along axis 0; the offset of the scales is patched later."""
    return b.table(PER_CHANNEL, 0, zero_points)


def blockwise(b: Builder, scales_tensor: int, block: int) -> Ref:
    """QuantizationParameters whose details are a BlockwiseQuantization (union type 2).

    `scales_tensor` is the index, in the same subgraph, of the FLOAT16 scales
    [rows, cols / block]; there are no zero points.
    """
    details = b.table("0i 1i 2i", scales_tensor, -1, block)
    return b.table("4B 5o", 2, details)


def tensor(
    b: Builder,
    name: str,
    shape: Sequence[int],
    kind: int,
    buffer: int,
    quantization: Ref = 0,
    signature: Sequence[int] | None = None,
) -> Ref:
    """Tensor. `signature` is the shape with -1 for dynamic axes, where it has any."""
    form = "0o 1b 2I 3o 8?"
    values = [b.ints(shape), kind, buffer, b.string(name), True]
    if quantization:
        form += " 4o"
        values.append(quantization)
    if signature is not None:
        form += " 7o"
        values.append(b.ints(signature))
    return b.table(form, *values)


def operator(
    b: Builder,
    code: int,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options_type: int = 0,
    options: Ref = 0,
    custom_options: Ref = 0,
) -> Ref:
    """Operator; custom options are a flexbuffer (`custom_options_format` 0)."""
    form = "0I 1o 2o"
    values = [code, b.ints(inputs), b.ints(outputs)]
    if options_type:
        form += " 3B 4o"
        values += [options_type, options]
    if custom_options:
        form += " 5o"
        values.append(custom_options)
    return b.table(form, *values)


def subgraph(
    b: Builder,
    name: str,
    tensors: Sequence[Ref],
    inputs: Sequence[int],
    outputs: Sequence[int],
    operators: Sequence[Ref],
) -> Ref:
    """SubGraph."""
    return b.table(
        "0o 1o 2o 3o 4o",
        b.refs(tensors),
        b.ints(inputs),
        b.ints(outputs),
        b.refs(operators),
        b.string(name),
    )


def signature_def(
    b: Builder, key: str, subgraph_index: int, inputs: dict[str, int], outputs: dict[str, int]
) -> Ref:
    """SignatureDef: names to tensor indices."""

    def maps(names: dict[str, int]) -> Ref:
        return b.refs([b.table("0o 1I", b.string(n), i) for n, i in names.items()])

    return b.table("0o 1o 2o 4I", maps(inputs), maps(outputs), b.string(key), subgraph_index)


def model(
    b: Builder,
    codes: Sequence[Ref],
    subgraphs: Sequence[Ref],
    buffers: Sequence[Ref],
    signatures: Sequence[Ref],
    description: str,
) -> Ref:
    """Model, the root table."""
    return b.table(
        "0I 1o 2o 3o 4o 7o",
        3,
        b.refs(codes),
        b.refs(subgraphs),
        b.string(description),
        b.refs(buffers),
        b.refs(signatures),
    )
