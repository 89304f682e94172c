"""Lower a graph model to a TFLite flatbuffer and decide the offset of every weight.

Nothing is read here: sizes follow from shapes and encodings. What depends on the data, the
scales, is placed after the weights, so that the file can be written, hashed and synced from its
beginning to its end (tflite/write.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from litertlm.graph import Constant, Dim, DType, Graph, Model, Op, Shape, Tensor
from litertlm.graph.encoding import Encoding
from litertlm.tflite import schema
from litertlm.tflite.flatbuffer import Builder, Ref
from litertlm.tflite.operators import DEQUANTIZE, EMPTY, OPERATORS, Operator

ALIGNMENT = 64  # of weights, from the start of the TFLite file

# The largest offset of a vector of the flatbuffer: readers treat its offsets as signed.
_REACH = (1 << 31) - 1

# The value of each symbol in `shape`; the runtime resizes tensors before the first call.
PLACEHOLDER = {"S": 1}


@dataclass(frozen=True)
class Placed:
    """One weight's place in the TFLite file.

    Attributes:
        constant, encoding: what is written and how.
        offset: bytes from the start of the TFLite file.
        scales: offset of its float32 scales, a vector of the flatbuffer with its length in the
            four bytes before; or of its float16 block scales.
    """

    constant: Constant
    encoding: Encoding
    offset: int
    scales: int | None


@dataclass(frozen=True)
class Layout:
    """A planned TFLite file: the flatbuffer, the weights, their scales.

    Attributes:
        flatbuffer: complete except for the scales that it refers to.
        weights: in file order.
        first_scales: offset of the first scales. In a file that is too long for offsets to reach
            its end, weights follow the scales of the flatbuffer.
        nbytes: size of the file.
    """

    flatbuffer: bytes
    weights: tuple[Placed, ...]
    first_scales: int
    nbytes: int


class _StoredConstant:
    """A constant's buffer and the tables that all subgraphs share."""

    def __init__(self, constant: Constant, encoding: Encoding, buffer: int = 0) -> None:
        self.constant = constant
        self.encoding = encoding
        self.buffer = buffer
        self.quantization: Ref = 0
        self.scales: int | None = None  # offset among all vectors of scales
        self.scales_buffer = 0


@dataclass(frozen=True)
class _ExternalBuffer:
    """Data outside of the flatbuffer, and the Buffer table that has its offset and size."""

    stored: _StoredConstant
    table: Ref
    nbytes: int


def plan(
    model: Model,
    encoding_of: Callable[[Constant], Encoding],
    *,
    cache_length: int,
    description: str,
) -> Layout:
    """Lay out the TFLite file of `model`.

    Args:
        encoding_of: how each constant is stored.
        cache_length: placeholder for a dynamic cache, in tokens.
        description: stored in the file.
    """
    return _Planner(encoding_of, {**PLACEHOLDER, "C": cache_length}).run(model, description)


class _Planner:
    def __init__(
        self, encoding_of: Callable[[Constant], Encoding], placeholder: dict[str, int]
    ) -> None:
        self.b = Builder()
        self.encoding_of = encoding_of
        self.placeholder = placeholder
        self.stored: dict[Constant, _StoredConstant] = {}
        self.codes: dict[tuple[Operator, int], int] = {}
        self.shapes: dict[Shape, tuple[tuple[int, ...], tuple[int, ...] | None]] = {}
        # Buffer 0 is the empty one of tensors without data.
        self.buffers: list[Ref] = [self.b.table("")]
        self.weights: list[_ExternalBuffer] = []
        self.block_scales: list[_ExternalBuffer] = []
        self.vectors_nbytes = 0  # of the scales that are vectors of the flatbuffer

    def run(self, model: Model, description: str) -> Layout:
        subgraphs, signatures = [], []
        for index, graph in enumerate(model.graphs):
            built = _Subgraph(self, graph)
            subgraphs.append(built.write())
            inputs, outputs = built.names()
            signatures.append(schema.signature_def(self.b, graph.name, index, inputs, outputs))
        codes = [
            schema.operator_code(self.b, operator.builtin, version, operator.custom)
            for operator, version in self.codes
        ]
        root = schema.model(self.b, codes, subgraphs, self.buffers, signatures, description)
        return self._place(self.b.finish(root, schema.IDENTIFIER))

    def _place(self, data: bytearray) -> Layout:
        """Assign offsets to all data outside of the flatbuffer, and patch them into its tables."""
        end = len(data)

        def take(nbytes: int) -> int:
            nonlocal end
            offset = _aligned(end)
            end = offset + nbytes
            return offset

        vectors = None
        offsets: dict[_StoredConstant, int] = {}
        for part in self.weights:
            after = _aligned(_aligned(end) + part.nbytes)
            if vectors is None and after + self.vectors_nbytes > _REACH:
                vectors = take(self.vectors_nbytes)
            offsets[part.stored] = take(part.nbytes)
            self._point(data, part, offsets[part.stored])
        if vectors is None:
            vectors = take(self.vectors_nbytes)
        first = vectors if self.vectors_nbytes else end
        scales: dict[_StoredConstant, int] = {}
        for part in self.weights:
            if part.stored.scales is not None:
                begin = vectors + part.stored.scales
                self._refer(data, part.stored.quantization, begin)
                scales[part.stored] = begin + 4  # after the vector's length
        for part in self.block_scales:
            scales[part.stored] = take(part.nbytes)
            self._point(data, part, scales[part.stored])
        placed = [
            Placed(s.constant, s.encoding, offsets[s], scales.get(s))
            for s in (part.stored for part in self.weights)
        ]
        return Layout(bytes(data), tuple(placed), first, end)

    def _refer(self, data: bytearray, quantization: Ref, scales: int) -> None:
        field = len(data) - self.b.field_ref(quantization, schema.PER_CHANNEL, 0)
        # An offset in a flatbuffer is relative to its own position.
        data[field : field + 4] = (scales - field).to_bytes(4, "little")

    def _point(self, data: bytearray, part: _ExternalBuffer, offset: int) -> None:
        for index, value in enumerate((offset, part.nbytes)):
            at = len(data) - self.b.field_ref(part.table, schema.EXTERNAL_BUFFER, index)
            data[at : at + 8] = value.to_bytes(8, "little")

    def code(self, operator: Operator, version: int) -> int:
        """The index of an operator among those of the file."""
        return self.codes.setdefault((operator, version), len(self.codes))

    def sizes(self, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """A shape with placeholders; and with -1 for its dynamic axes, where it has any."""
        found = self.shapes.get(shape)
        if found is None:
            # Positive even where a dimension is too small for its symbol's placeholder.
            sizes = [max(1, d.at(self.placeholder)) if isinstance(d, Dim) else d for d in shape]
            signature = tuple([-1 if isinstance(d, Dim) else d for d in shape])
            found = self.shapes[shape] = tuple(sizes), signature if -1 in signature else None
        return found

    def store(self, constant: Constant) -> _StoredConstant:
        stored = self.stored.get(constant)
        if stored is None:
            stored = self.stored[constant] = self._store(constant)
        return stored

    def _store(self, constant: Constant) -> _StoredConstant:
        encoding = self.encoding_of(constant)
        if not constant.weight:
            data = self.b.blob(constant.read().tobytes())
            self.buffers.append(self.b.table("0o", data))
            return _StoredConstant(constant, encoding, len(self.buffers) - 1)
        stored = _StoredConstant(constant, encoding)
        rows = constant.shape[0]
        if encoding.block:
            nbytes = rows * constant.shape[1] // encoding.block * 2
            stored.scales_buffer = self._external(stored, nbytes, self.block_scales)
        elif encoding.scaled:
            zeros = self.b.array(np.zeros(rows, np.int64))
            stored.quantization = schema.per_channel(self.b, zeros)
            stored.scales = self.vectors_nbytes
            self.vectors_nbytes += 4 + 4 * rows
        stored.buffer = self._external(stored, encoding.nbytes(constant.shape), self.weights)
        return stored

    def _external(self, stored: _StoredConstant, nbytes: int, group: list[_ExternalBuffer]) -> int:
        table = self.b.table(schema.EXTERNAL_BUFFER, 0, 0)
        self.buffers.append(table)
        group.append(_ExternalBuffer(stored, table, nbytes))
        return len(self.buffers) - 1


def flexbuffer(values: Mapping[str, Any]) -> bytes:
    """The options of a custom operator: a map of integers, floats, booleans and strings."""
    from flatbuffers import flexbuffers  # few models have custom operators

    return bytes(flexbuffers.Dumps(dict(values)))


def _aligned(offset: int) -> int:
    return offset + -offset % ALIGNMENT


class _Subgraph:
    """One graph's tensors and operators."""

    def __init__(self, planner: _Planner, graph: Graph) -> None:
        self.p = planner
        self.graph = graph
        self.tensors: list[Ref] = []
        self.operators: list[Ref] = []
        self.index: dict[Tensor, int] = {}
        self.floats: dict[int, int] = {}  # the float32 tensor of an encoded one

    def write(self) -> Ref:
        for tensor in self.graph.inputs.values():
            self._variable(tensor)
        for op in self.graph.ops:
            self._op(op)
        inputs, outputs = self.names()
        return schema.subgraph(
            self.p.b,
            self.graph.name,
            self.tensors,
            list(inputs.values()),
            list(outputs.values()),
            self.operators,
        )

    def names(self) -> tuple[dict[str, int], dict[str, int]]:
        """Signature names to tensor indices."""
        inputs = {name: self.index[t] for name, t in self.graph.inputs.items()}
        outputs = {name: self.index[t] for name, t in self.graph.outputs.items()}
        return inputs, outputs

    def _op(self, op: Op) -> None:
        if op.kind == "embedding_lookup" and self._half(op.inputs[1]):
            self._half_lookup(op)
            return
        row = OPERATORS[op.kind]
        inputs = [self._operand(t, i == row.encoded, op) for i, t in enumerate(op.inputs)]
        outputs = [self._variable(t) for t in op.outputs]
        options = self.p.b.table(*row.options(op)) if row.options else 0
        custom = 0
        if row.custom_options:
            custom = self.p.b.blob(flexbuffer(row.custom_options(op)))
        self._emit(row, row.version_of(op), inputs, outputs, options, custom)

    def _half(self, tensor: Tensor) -> bool:
        return tensor.constant is not None and self.p.store(tensor.constant).encoding.bits == 16

    def _half_lookup(self, op: Op) -> None:
        """EMBEDDING_LOOKUP does not support FLOAT16: GATHER the rows, then DEQUANTIZE them."""
        ids, weight = op.inputs
        rows = self._append(op.output.name + "_f16", op.output.shape, schema.FLOAT16)
        operands = [self._encoded(weight), self._operand(ids, False, op)]
        self._emit(OPERATORS["gather"], 1, operands, [rows], self.p.b.table(*EMPTY))
        self._emit(DEQUANTIZE, 2, [rows], [self._variable(op.output)])

    def _emit(
        self,
        row: Operator,
        version: int,
        inputs: list[int],
        outputs: list[int],
        options: Ref = 0,
        custom_options: Ref = 0,
    ) -> None:
        code = self.p.code(row, version)
        self.operators.append(
            schema.operator(
                self.p.b, code, inputs, outputs, row.options_type, options, custom_options
            )
        )

    def _operand(self, tensor: Tensor, keep_encoded: bool, op: Op) -> int:
        if tensor.constant is None:
            return self.index[tensor]
        index = self._encoded(tensor)
        encoding = self.p.store(tensor.constant).encoding
        integer = encoding.dynamic or op.kind == "embedding_lookup"
        if encoding.bits == 32 or (keep_encoded and integer):
            return index
        return self._dequantized(tensor, index)

    def _encoded(self, tensor: Tensor) -> int:
        """The index of a constant as it is stored."""
        index = self.index.get(tensor)
        if index is None:
            assert tensor.constant is not None
            index = self._constant(tensor, self.p.store(tensor.constant))
            self.index[tensor] = index
        return index

    def _dequantized(self, tensor: Tensor, index: int) -> int:
        found = self.floats.get(index)
        if found is None:
            found = self._append(tensor.name + "_f32", tensor.shape, schema.TYPES[DType.FLOAT32])
            self.floats[index] = found
            self._emit(DEQUANTIZE, 2, [index], [found])
        return found

    def _constant(self, tensor: Tensor, stored: _StoredConstant) -> int:
        encoding = stored.encoding
        kind = schema.TYPES[tensor.dtype]
        if stored.constant.weight:
            kind = {32: kind, 16: schema.FLOAT16, 8: schema.INT8, 4: schema.INT4}[encoding.bits]
        quantization = stored.quantization
        if encoding.block:
            rows, cols = stored.constant.shape
            scales = self._append(
                tensor.name + "_scale",
                (rows, cols // encoding.block),
                schema.FLOAT16,
                stored.scales_buffer,
            )
            quantization = schema.blockwise(self.p.b, scales, encoding.block)
        return self._append(tensor.name, tensor.shape, kind, stored.buffer, quantization)

    def _variable(self, tensor: Tensor) -> int:
        index = self._append(tensor.name, tensor.shape, schema.TYPES[tensor.dtype])
        self.index[tensor] = index
        return index

    def _append(
        self, name: str, shape: Shape, kind: int, buffer: int = 0, quantization: Ref = 0
    ) -> int:
        sizes, signature = self.p.sizes(shape)
        self.tensors.append(
            schema.tensor(self.p.b, name, sizes, kind, buffer, quantization, signature)
        )
        return len(self.tensors) - 1
