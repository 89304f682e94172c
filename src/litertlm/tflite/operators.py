"""Each operation's TFLite operator: one row for its code, version and options.

Codes and options: google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs (version 3). Versions:
tensorflow/lite/tools/versioning/op_version.cc, for the types that we write. An older version than
that is refused by older runtimes only where they lack what the newer one brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.graph import DType, Op
from litertlm.tflite.schema import TYPES

# The form of a table and its fields, for Builder.table.
Fields = tuple[Any, ...]

EMPTY: Fields = ("",)
_CUSTOM = 32


@dataclass(frozen=True, eq=False)
class Operator:
    """How an operation is written. Compared by identity.

    Attributes:
        builtin: its BuiltinOperator.
        options_type: its BuiltinOptions; 0 without a table.
        options: the fields of that table.
        version: a number, or what needs which one.
        encoded: the index of the operand that the operator reads as it is stored (int8, ...).
        custom: its name, where it is none of the builtin operators.
        custom_options: the values of its flexbuffer.
    """

    builtin: int
    options_type: int = 0
    options: Callable[[Op], Fields] | None = None
    version: int | Callable[[Op], int] = 1
    encoded: int | None = None
    custom: str = ""
    custom_options: Callable[[Op], Mapping[str, Any]] | None = None

    def version_of(self, op: Op) -> int:
        """The version that an operation needs."""
        return self.version if isinstance(self.version, int) else self.version(op)


def _empty(op: Op) -> Fields:
    return EMPTY


def _axis(op: Op) -> Fields:
    return "0i", op.attrs["axis"]


def _gather(op: Op) -> Fields:
    axis, batch = op.attrs["axis"], op.attrs.get("batch_dims", 0)
    return ("0i 1i", axis, batch) if axis or batch else EMPTY


def _reducer(op: Op) -> Fields:
    return "0?", op.attrs.get("keepdims", True)


def _strided_slice(op: Op) -> Fields:
    """The masks have a bit for each axis whose begin or end does not count."""
    axes = (1 << len(op.inputs[0].shape)) - 1
    axis = 1 << op.attrs["axis"]
    begin = axes if op.attrs["begin"] is None else axes & ~axis
    end = axes if op.attrs["end"] is None else axes & ~axis
    return "0i 1i", begin, end


def _padding(op: Op) -> int:
    return 0 if op.attrs["padding"] == "SAME" else 1


def _conv(op: Op) -> Fields:
    (high, wide), (down, along) = op.attrs["stride"], op.attrs["dilation"]
    return "0b 1i 2i 4i 5i", _padding(op), wide, high, along, down


def _depthwise_conv(op: Op) -> Fields:
    (high, wide), (down, along) = op.attrs["stride"], op.attrs["dilation"]
    multiplier = op.inputs[1].shape[3] // op.inputs[0].shape[3]  # type: ignore[operator]
    return "0b 1i 2i 3i 5i 6i", _padding(op), wide, high, multiplier, along, down


def _pool(op: Op) -> Fields:
    (high, wide), (tall, broad) = op.attrs["stride"], op.attrs["window"]
    return "0b 1i 2i 3i 4i", _padding(op), wide, high, broad, tall


def _count_and_axis(count: int, op: Op) -> Fields:
    return "0i 1i", count, op.attrs["axis"]


def _broadcasts_beyond_4(otherwise: int, version: int) -> Callable[[Op], int]:
    def choose(op: Op) -> int:
        shapes = [t.shape for t in op.inputs]
        beyond = max(map(len, shapes)) > 4 and shapes[0] != shapes[1]
        return version if beyond else otherwise

    return choose


def _of_rank(version: int) -> Callable[[Op], int]:
    """`version` of more than 4 axes."""
    return lambda op: version if len(op.inputs[0].shape) > 4 else 1


def _of_bool(version: int, otherwise: Callable[[Op], int] = lambda op: 1) -> Callable[[Op], int]:
    return lambda op: version if op.inputs[0].dtype is DType.BOOL else otherwise(op)


def _transpose_version(op: Op) -> int:
    rank = len(op.inputs[0].shape)
    return 6 if rank > 5 else 4 if rank > 4 else _of_bool(3)(op)


# What encodes and decodes, and is no operation of a graph.
DEQUANTIZE = Operator(6, version=2)

# The rows of the operations of graph.ops, by kind.
OPERATORS: dict[str, Operator] = {
    "abs": Operator(101),
    "add": Operator(0, 11, _empty),
    "argmax": Operator(56, 40, lambda op: ("0b", TYPES[DType.INT32])),
    "average_pool_2d": Operator(1, 5, _pool),
    "batch_matmul": Operator(126, 101, lambda op: ("1?", op.attrs.get("transpose_b", True))),
    "broadcast_to": Operator(130, version=2),
    "cast": Operator(
        53, 37, lambda op: ("0b 1b", TYPES[op.inputs[0].dtype], TYPES[op.output.dtype])
    ),
    "concat": Operator(2, 10, _axis),
    "conv_2d": Operator(3, 1, _conv),
    "cos": Operator(108),
    # 103 is CallOnceOptions: CumsumOptions are 102. Readers take the default values, which are
    # ours, where they find another type; the right one would change the bytes of every bundle
    # with sliding windows.
    "cumsum": Operator(128, 103, _empty),
    "depthwise_conv_2d": Operator(
        4, 2, _depthwise_conv, lambda op: 1 if op.attrs["dilation"] == (1, 1) else 2
    ),
    "div": Operator(42, 29, _empty, _broadcasts_beyond_4(1, 2)),
    "dynamic_update_slice": Operator(151),
    "embedding_lookup": Operator(7, encoded=1),
    "equal": Operator(71),
    "exp": Operator(47),
    "floor": Operator(8),
    # keep_num_dims, asymmetric_quantize_inputs
    "fully_connected": Operator(9, 8, lambda op: ("2? 3?", True, True), 5, encoded=1),
    "gated_delta_update": Operator(
        _CUSTOM,
        custom="gated_delta_update",
        custom_options=lambda op: {"mode": 0, "state_dtype": "float32"},
    ),
    "gather": Operator(
        36, 23, _gather, _of_bool(3, lambda op: 5 if op.attrs.get("batch_dims") else 1)
    ),
    "gather_nd": Operator(107, version=_of_bool(5)),
    "gelu": Operator(150, 116, lambda op: ("0?", op.attrs["approximate"])),
    "greater": Operator(61),
    "greater_equal": Operator(62),
    "less": Operator(58),
    "less_equal": Operator(63),
    "log": Operator(73),
    "logical_and": Operator(86),
    "logical_not": Operator(87),
    "logical_or": Operator(84),
    "logistic": Operator(14),
    "max_pool_2d": Operator(17, 5, _pool),
    "maximum": Operator(55, version=_broadcasts_beyond_4(1, 3)),
    "mean": Operator(40, 27, _reducer),
    "minimum": Operator(57, version=_broadcasts_beyond_4(1, 3)),
    "moe": Operator(
        _CUSTOM,
        custom="moe",
        custom_options=lambda op: {
            "num_experts": op.inputs[3].shape[1],
            "num_active_experts": op.inputs[1].shape[2],
            "model_dim": op.inputs[0].shape[2],
            "hidden_dim": op.inputs[3].shape[0],
            "activation": "gelu_tanh" if op.attrs["approximate"] else "gelu",
            "weight_type": "fp32",
            "renormalized_top_weights": True,
        },
    ),
    "mul": Operator(18, 21, _empty),
    "neg": Operator(59),
    "not_equal": Operator(72),
    "pack": Operator(83, 59, lambda op: _count_and_axis(len(op.inputs), op)),
    "pad": Operator(34, version=_of_rank(4)),
    "padv2": Operator(60, version=_of_rank(4)),
    "pow": Operator(78),
    "reduce_max": Operator(82, 27, _reducer),
    "reduce_min": Operator(89, 27, _reducer),
    "reduce_prod": Operator(81, 27, _reducer),
    "relu": Operator(19),
    "reshape": Operator(22),
    "resize_bilinear": Operator(23, 15, lambda op: ("3?", True), 3),  # half_pixel_centers
    "resize_nearest": Operator(97, 74, lambda op: ("1?", True), 3),  # half_pixel_centers
    "rsqrt": Operator(76),
    "select": Operator(123),
    "sin": Operator(66),
    "softmax": Operator(25, 9, lambda op: ("0f", 1.0)),
    "split": Operator(
        49,
        35,
        lambda op: ("0i", len(op.outputs)),
        lambda op: 3 if op.output.dtype is DType.INT32 else 1,
    ),
    "split_v": Operator(102, 79, lambda op: ("0i", len(op.outputs))),
    "sqrt": Operator(75),
    "square": Operator(92),
    "strided_slice": Operator(45, 32, _strided_slice, _of_bool(3, _of_rank(4))),
    "sub": Operator(41, 28, _empty, _broadcasts_beyond_4(1, 3)),
    "sum": Operator(74, 27, _reducer),
    "tanh": Operator(28),
    "tile": Operator(69),
    "top_k": Operator(48),
    "transpose": Operator(39, version=_transpose_version),
    "unpack": Operator(88, 64, lambda op: _count_and_axis(len(op.outputs), op), _of_bool(3)),
}
