"""GPTQ and AWQ store the transposed weight, [in, out], eight values of four bits a word.

Both multiply by `scales` [G, out] after subtracting zero points `qzeros` [G, out / 8]; they differ
in how values are packed (`gptq.py`, `awq.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.quantized.parts import (
    ColumnReader,
    check_part,
    dequantized_tensor,
    matrix_shape,
    missing_part,
    values,
)
from litertlm.checkpoint.safetensors import SafetensorsTensor
from litertlm.checkpoint.types import StoredTensor
from litertlm.errors import DamagedCheckpoint

_PARTS = ("qweight", "qzeros", "scales", "g_idx")
_INTEGERS = ("I32", "U32")
_FLOATS = ("F16", "BF16", "F32")


@dataclass(frozen=True)
class Packing:
    """How one format packs values.

    Attributes:
        bits: of a value.
        packed_inputs: whether a word of `qweight` has several inputs, rather than outputs.
        unpack_outputs: words [rows, n] to values [rows, n * 32 / bits].
        unpack_inputs: words [n, cols] to values [n * 32 / bits, cols].
        adjust_zeros: the words of `qzeros` as the values of zero points are packed in them.
    """

    bits: int
    packed_inputs: bool
    unpack_outputs: Callable[[NDArray[np.uint32]], NDArray[np.uint8]]
    unpack_inputs: Callable[[NDArray[np.uint32]], NDArray[np.uint8]] | None = None
    adjust_zeros: Callable[[NDArray[np.uint32]], NDArray[np.uint32]] = lambda words: words

    @property
    def per_word(self) -> int:
        """Values in a word."""
        return 32 // self.bits


def read_modules(
    tensors: Mapping[str, SafetensorsTensor], packing: Packing, group_size: int
) -> dict[str, StoredTensor]:
    """The tensors, with the parts of each module as one `weight`.

    Args:
        group_size: inputs that share a scale; -1 for one group.

    Raises:
        DamagedCheckpoint: parts that are missing or do not fit each other.
    """
    reader = ColumnReader()
    result: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if f"{module}.qweight" not in tensors or part not in _PARTS:
            result[name] = tensor
        elif part == "qweight":
            parts = _Parts.of(module, tensors, packing, group_size)
            weight = f"{module}.weight"
            shape = (parts.outputs, parts.inputs)
            result[weight] = dequantized_tensor(
                weight, shape, parts.stored(), parts.reader(packing, reader)
            )
    return result


@dataclass(frozen=True)
class _Parts:
    qweight: SafetensorsTensor
    qzeros: SafetensorsTensor
    scales: SafetensorsTensor
    g_idx: SafetensorsTensor | None
    inputs: int
    outputs: int
    group_size: int

    @classmethod
    def of(
        cls,
        module: str,
        tensors: Mapping[str, SafetensorsTensor],
        packing: Packing,
        group_size: int,
    ) -> _Parts:
        qweight, qzeros, scales, g_idx = (tensors.get(f"{module}.{part}") for part in _PARTS)
        assert qweight is not None
        for part, name in ((qzeros, "qzeros"), (scales, "scales")):
            if part is None:
                raise missing_part(f"{module}.{name}", f"{module}.qweight")
        assert qzeros is not None
        assert scales is not None
        check_part(qweight, _INTEGERS)
        rows, words = matrix_shape(qweight)
        inputs = rows * packing.per_word if packing.packed_inputs else rows
        outputs = words if packing.packed_inputs else words * packing.per_word
        group_size = inputs if group_size == -1 else group_size
        groups = -(-inputs // group_size)
        check_part(scales, _FLOATS, (groups, outputs))
        check_part(qzeros, _INTEGERS, (groups, -(-outputs // packing.per_word)))
        if g_idx is not None:
            check_part(g_idx, ("I32", "I64"), (inputs,))
        return cls(qweight, qzeros, scales, g_idx, inputs, outputs, group_size)

    def stored(self) -> list[SafetensorsTensor]:
        """The parts that the checkpoint has."""
        parts = (self.qweight, self.qzeros, self.scales, self.g_idx)
        return [part for part in parts if part is not None]

    def reader(
        self, packing: Packing, reader: ColumnReader
    ) -> Callable[[int, int], NDArray[np.float32]]:
        """Reads rows of the weight: columns of the parts."""

        def read(start: int, stop: int) -> NDArray[np.float32]:
            group_of = self._groups()
            if packing.packed_inputs:
                words = reader.columns(self.qweight, start, stop).view(np.uint32)
                assert packing.unpack_inputs is not None
                levels = packing.unpack_inputs(np.ascontiguousarray(words))
            else:
                levels = self._outputs(self.qweight, packing, reader, start, stop)
            zeros = self._outputs(
                self.qzeros, packing, reader, start, stop, adjust=packing.adjust_zeros
            )
            scales = _decoded(self.scales, reader.columns(self.scales, start, stop))
            weight: NDArray[np.float32] = levels.T.astype(np.float32, order="C")
            weight -= zeros.T.astype(np.float32)[:, group_of]
            weight *= scales.T[:, group_of]
            return weight

        return read

    def _groups(self) -> NDArray[np.int64]:
        if self.g_idx is None:
            return np.arange(self.inputs) // self.group_size
        groups = values(self.g_idx).astype(np.int64)
        if groups.min() < 0 or groups.max() >= self.scales.shape[0]:
            raise DamagedCheckpoint(
                f"Tensor {self.g_idx.name} names groups that do not exist.",
                why=f"There are {self.scales.shape[0]} groups, counted from 0.",
            )
        return groups

    @staticmethod
    def _outputs(
        part: SafetensorsTensor,
        packing: Packing,
        reader: ColumnReader,
        start: int,
        stop: int,
        adjust: Callable[[NDArray[np.uint32]], NDArray[np.uint32]] = lambda words: words,
    ) -> NDArray[np.uint8]:
        """Outputs `[start, stop)` of words that have several outputs each."""
        count = packing.per_word
        words = reader.columns(part, start // count, -(-stop // count))
        unpacked = packing.unpack_outputs(adjust(np.ascontiguousarray(words).view(np.uint32)))
        first = start // count * count
        return unpacked[:, start - first : stop - first]


def _decoded(part: SafetensorsTensor, stored: NDArray[Any]) -> NDArray[np.float32]:
    if part.dtype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32)
