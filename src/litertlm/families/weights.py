"""The tensors of a checkpoint as constants of the graph. Nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint import Checkpoint, StoredTensor
from litertlm.checkpoint.views import as_matrix, equal_values, place_of
from litertlm.errors import DamagedCheckpoint, UnsupportedModel
from litertlm.graph import Constant, DType, GraphError

# Tensors that checkpoints carry and no graph needs: buffers that are derived from the config.
DERIVED_TENSORS = ("rotary_emb.inv_freq", "masked_bias", "attn.bias")

# Which rows of a stored tensor make a constant, in their order: a range or an array of indices.
Rows = range | NDArray[np.int64]


@dataclass(frozen=True)
class _Request:
    """What was asked for under one key; a second request must ask for the same."""

    constant: Constant
    weight_offset: float


@dataclass(eq=False)
class Weights:
    """The checkpoint's tensors as graph constants: shape-checked, and every row used once.

    Equal requests get the same constant, so that all signatures share it.
    """

    checkpoint: Checkpoint
    _requests: dict[Hashable, _Request] = field(default_factory=dict)
    # For each tensor of which views were taken: which of its rows are used.
    _used_rows: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    _complete: set[str] = field(default_factory=set)
    _ignored: set[str] = field(default_factory=set)
    _reused: set[str] = field(default_factory=set)
    # Whether the head is the embedding table, once it is known.
    _shared_head: bool | None = None

    def get(self, name: str, *shape: int, weight_offset: float = 0.0) -> Constant:
        """The tensor `name` of exactly `shape`; `weight_offset` is added to every value.

        Raises:
            DamagedCheckpoint: the tensor is missing or has another shape.
            GraphError: it was requested before with another offset, or by rows.
        """
        found = self._requests.get(name)
        if found is not None and found.constant.shape == shape:
            return _same(found, weight_offset)
        stored = self._stored(name, shape)
        if name in self._used_rows or name in self._complete:
            raise GraphError(f"{name} is requested twice, in different arrangements")
        rows = _with_offset(stored.rows, weight_offset)
        constant = Constant(
            name,
            shape,
            DType.FLOAT32,
            rows,
            reused=name in self._reused,
            **_located(stored),
        )
        self._requests[name] = _Request(constant, weight_offset)
        self._complete.add(name)
        return constant

    def view(
        self, name: str, stored_shape: tuple[int, ...], rows: Rows, *, weight_offset: float = 0.0
    ) -> Constant:
        """Some rows of the tensor `name`: [len(rows), in], or [len(rows)] of a vector.

        All axes but the last are counted as rows: row `e * out + i` of fused experts
        [experts, out, in] is row i of expert e. The view is read block by block, as a tensor is.

        Args:
            stored_shape: of the tensor in the checkpoint.
            rows: ascending where the tensor is large: each block reads from its lowest to its
                highest row.

        Raises:
            DamagedCheckpoint: the tensor is missing or has another shape.
            GraphError: a row does not exist or belongs to another view already, or the same view
                was requested with another offset.
        """
        stored = self._stored(name, stored_shape)
        order = rows if isinstance(rows, range) else rows.tobytes()
        found = self._requests.get((name, order))
        if found is not None:
            return _same(found, weight_offset)
        matrix = as_matrix(stored)
        self._take(name, matrix.shape[0], rows)
        read = _with_offset(_reader(matrix, rows), weight_offset)
        shape = (len(rows), *matrix.shape[1:])
        located = _located(matrix, int(min(rows, default=0)))
        constant = Constant(f"{name}{_label(rows)}", shape, DType.FLOAT32, read, **located)
        self._requests[name, order] = _Request(constant, weight_offset)
        return constant

    def transformed(
        self,
        name: str,
        stored_shape: tuple[int, ...],
        shape: tuple[int, ...],
        transform: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> Constant:
        """A small tensor in another arrangement, such as the taps of a convolution transposed.

        The tensor is read completely for each block, so it must be small.

        Args:
            stored_shape: of the tensor in the checkpoint; a scalar is given as one row.
            shape: of the constant.
            transform: the complete tensor to an array of `shape`.

        Raises:
            DamagedCheckpoint: the tensor is missing or has another shape.
            GraphError: it was requested before in another shape.
        """
        stored = self._stored(name, stored_shape)
        found = self._requests.get((name, transform))
        if found is not None and found.constant.shape == shape:
            return found.constant
        if name in self._complete or name in self._used_rows:
            raise GraphError(f"{name} is requested twice, in different arrangements")

        def rows(start: int, stop: int) -> NDArray[np.float32]:
            complete = stored.rows(0, stored_shape[0] if stored_shape else 1)
            return transform(complete).reshape(shape)[start:stop]

        constant = Constant(name, shape, DType.FLOAT32, rows, **_located(stored))
        self._requests[name, transform] = _Request(constant, 0.0)
        self._complete.add(name)
        return constant

    def ignore(self, *names: str) -> None:
        """Tensors that the checkpoint may carry and that the model does not use, or not all of."""
        self._ignored.update(names)

    def reuse(self, *names: str) -> None:
        """Tensors of modules that the model applies more than once; to be called before `get`."""
        self._reused.update(names)

    def shares_head(self, embedding: str, head: str) -> bool:
        """Whether the head of a model with `tie_word_embeddings` is its embedding table.

        A checkpoint may store both. As in transformers (`PreTrainedModel.tie_weights`), they are
        shared if all values are equal; else the stored head is used. Only then weights are read,
        in blocks, up to the first block that differs.
        """
        if self._shared_head is None:
            tensors = self.checkpoint.tensors
            self._shared_head = head not in tensors or (
                embedding in tensors and equal_values(tensors[embedding], tensors[head])
            )
            if self._shared_head:
                self.ignore(head)
        return self._shared_head

    def check_all_used(self) -> None:
        """Check that the family mapped every tensor and every row.

        Raises:
            UnsupportedModel: names the first tensors that are left; a model without them would
                compute something else.
        """
        left = [name for name in self.checkpoint.tensors if not self._is_used(name)]
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            raise UnsupportedModel(
                f"This checkpoint has tensors that its family does not define: {left[0]}{more}.",
                why=f"Not mapped: {', '.join(map(self._described, left[:3]))}{more}.",
                hint="It may need the model's own code, or a newer version of this program.",
            )

    def _is_used(self, name: str) -> bool:
        if name in self._complete or name in self._ignored or name.endswith(DERIVED_TENSORS):
            return True
        used = self._used_rows.get(name)
        return used is not None and bool(used.all())

    def _described(self, name: str) -> str:
        used = self._used_rows.get(name)
        return name if used is None else f"{name} ({np.count_nonzero(~used)} of its rows)"

    def _take(self, name: str, count: int, rows: Rows) -> None:
        indices = np.asarray(rows, np.int64)
        if not indices.size or indices.min() < 0 or indices.max() >= count:
            raise GraphError(f"{name} has {count} rows, not {_label(rows)}")
        if name in self._complete:
            raise GraphError(f"{name} is requested twice, in different arrangements")
        used = self._used_rows.setdefault(name, np.zeros(count, np.bool_))
        times = np.bincount(indices, minlength=count)
        if (times + used).max() > 1:
            raise GraphError(f"rows {_label(rows)} of {name} belong to another view already")
        used[indices] = True

    def _stored(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        stored = self.checkpoint.tensors.get(name)
        if stored is None:
            raise DamagedCheckpoint(
                f"The checkpoint is incomplete: tensor {name} is missing.",
                why=f"Tensor {name} {list(shape)} is missing; config.json asks for it.",
            )
        if tuple(stored.shape) != shape:
            raise DamagedCheckpoint(
                f"The checkpoint does not fit its config.json: tensor {name} has another shape.",
                why=f"Tensor {name} has shape {list(stored.shape)}, "
                f"but config.json asks for {list(shape)}.",
            )
        return stored


def pairs_to_halves(heads: int, head_dim: int, rotary_dim: int | None = None) -> NDArray[np.int64]:
    """The row order that turns interleaved rotary pairs into halves, head by head.

    Of the first `rotary_dim` rows of a head (all of them without it), row 2 j + half becomes row
    half * rotary_dim / 2 + j, which is what rope.Rotation expects of queries and keys.
    """
    rows = np.arange(heads * head_dim, dtype=np.int64).reshape(heads, head_dim)
    rotated = head_dim if rotary_dim is None else rotary_dim
    order = np.concatenate(
        [rows[:, :rotated:2], rows[:, 1:rotated:2], rows[:, rotated:]], axis=1, dtype=np.int64
    )
    return order.reshape(-1)


def expert_rows(expert: int, out: int) -> range:
    """The rows of one expert in a fused tensor [experts, out, in]."""
    return range(expert * out, (expert + 1) * out)


class _Located(TypedDict):
    place: tuple[str, int]
    row_bytes: int


def _located(stored: StoredTensor, row: int = 0) -> _Located:
    file, start = place_of(stored)
    row_bytes = stored.nbytes // max(1, stored.shape[0] if stored.shape else 1)
    return {"place": (file, start + row * row_bytes), "row_bytes": row_bytes}


_Reader = Callable[[int, int], NDArray[np.float32]]


def _same(request: _Request, weight_offset: float) -> Constant:
    if request.weight_offset != weight_offset:
        raise GraphError(
            f"{request.constant.name} is requested with offset {weight_offset}, "
            f"and was with {request.weight_offset}"
        )
    return request.constant


def _with_offset(read: _Reader, weight_offset: float) -> _Reader:
    if not weight_offset:
        return read
    return lambda start, stop: read(start, stop) + np.float32(weight_offset)


def _reader(matrix: StoredTensor, rows: Rows) -> _Reader:
    if isinstance(rows, range) and rows.step == 1:
        first = rows.start
        return lambda start, stop: matrix.rows(first + start, first + stop)
    indices = np.asarray(rows, np.int64)

    def read(start: int, stop: int) -> NDArray[np.float32]:
        wanted = indices[start:stop]
        if not wanted.size:
            return matrix.rows(0, 0)
        lowest = int(wanted.min())
        block: NDArray[np.float32] = matrix.rows(lowest, int(wanted.max()) + 1)[wanted - lowest]
        return block

    return read


def _label(rows: Rows) -> str:
    if isinstance(rows, range) and rows.step == 1:
        return f"[{rows.start}:{rows.stop}]"
    return f"[{rows[0]}, ..., {rows[-1]}]" if len(rows) else "[]"
