"""The tables of the TFLite schema that we write, by slot number.

Source: google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs (version 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from litertlm.graph import DType
from litertlm.tflite.flatbuffer import Builder, Field, Ref

IDENTIFIER = b"TFL3"

# TensorType
TYPES = {DType.FLOAT32: 0, DType.INT32: 2, DType.BOOL: 6}
FLOAT16, INT8, INT4 = 1, 9, 17

# Each kind of operation: BuiltinOperator, its version, and BuiltinOptions (0 when it has none).
OPERATORS = {
    "add": (0, 1, 11),
    "batch_matmul": (126, 1, 101),
    "cast": (53, 1, 37),
    "concat": (2, 1, 10),
    "cos": (108, 1, 0),
    "cumsum": (128, 1, 103),
    "dequantize": (6, 2, 0),
    "dynamic_update_slice": (151, 1, 0),
    "embedding_lookup": (7, 1, 0),
    "fully_connected": (9, 5, 8),
    "gather": (36, 1, 23),
    "gelu": (150, 1, 116),
    "greater_equal": (62, 1, 0),
    "logistic": (14, 1, 0),
    "mean": (40, 1, 27),
    "mul": (18, 1, 21),
    "relu": (19, 1, 0),
    "reshape": (22, 1, 0),
    "rsqrt": (76, 1, 0),
    "select": (123, 1, 0),
    "sin": (66, 1, 0),
    "slice": (65, 1, 0),
    "softmax": (25, 1, 9),
    "sub": (41, 1, 28),
    "tanh": (28, 1, 0),
    "transpose": (39, 1, 0),
}

# The fields of Buffer when its data lies outside the flatbuffer: offset and size.
EXTERNAL_BUFFER = ((1, "Q"), (2, "Q"))


def operator_code(b: Builder, builtin: int, version: int) -> Ref:
    """OperatorCode; codes above 127 have the placeholder in the old 8-bit field."""
    return b.table((0, "b", min(builtin, 127)), (2, "i", version), (3, "i", builtin))


def per_channel(b: Builder, scales: Ref, zero_points: Ref) -> Ref:
    """QuantizationParameters along axis 0."""
    return b.table((2, "o", scales), (3, "o", zero_points))


def blockwise(b: Builder, scales_tensor: int, block: int) -> Ref:
    """QuantizationParameters whose details are a BlockwiseQuantization (union type 2).

    `scales_tensor` is the index, in the same subgraph, of the FLOAT16 scales
    [rows, cols / block]; there are no zero points.
    """
    details = b.table((0, "i", scales_tensor), (1, "i", -1), (2, "i", block))
    return b.table((4, "B", 2), (5, "o", details))


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
    fields: list[Field] = [
        (0, "o", b.ints(shape)),
        (1, "b", kind),
        (2, "I", buffer),
        (3, "o", b.string(name)),
        (8, "?", True),
    ]
    if quantization:
        fields.append((4, "o", quantization))
    if signature is not None:
        fields.append((7, "o", b.ints(signature)))
    return b.table(*fields)


def operator(
    b: Builder,
    code: int,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options_type: int = 0,
    options: Ref = 0,
) -> Ref:
    """Operator."""
    fields: list[Field] = [
        (0, "I", code),
        (1, "o", b.ints(inputs)),
        (2, "o", b.ints(outputs)),
    ]
    if options_type:
        fields += [(3, "B", options_type), (4, "o", options)]
    return b.table(*fields)


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
        (0, "o", b.refs(tensors)),
        (1, "o", b.ints(inputs)),
        (2, "o", b.ints(outputs)),
        (3, "o", b.refs(operators)),
        (4, "o", b.string(name)),
    )


def signature_def(
    b: Builder, key: str, subgraph_index: int, inputs: dict[str, int], outputs: dict[str, int]
) -> Ref:
    """SignatureDef: names to tensor indices."""

    def maps(names: dict[str, int]) -> Ref:
        return b.refs([b.table((0, "o", b.string(n)), (1, "I", i)) for n, i in names.items()])

    return b.table(
        (0, "o", maps(inputs)),
        (1, "o", maps(outputs)),
        (2, "o", b.string(key)),
        (4, "I", subgraph_index),
    )


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
        (0, "I", 3),
        (1, "o", b.refs(codes)),
        (2, "o", b.refs(subgraphs)),
        (3, "o", b.string(description)),
        (4, "o", b.refs(buffers)),
        (7, "o", b.refs(signatures)),
    )
