"""Constants from a checkpoint's tensors: views are streams of rows, and every row is used once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from litertlm.checkpoint import Checkpoint, StoredTensor, Tokenizer
from litertlm.checkpoint.gguf_file import read_gguf
from litertlm.checkpoint.safetensors import read_header
from litertlm.checkpoint.views import as_matrix
from litertlm.errors import DamagedCheckpoint, UnsupportedModel
from litertlm.families.weights import Weights, expert_rows, pairs_to_halves
from litertlm.graph import Constant, GraphError
from tiny import write_safetensors

HEADS, HEAD_DIM, HIDDEN = 3, 4, 5
EXPERTS, OUT = 4, 6


def values(*shape: int) -> NDArray[np.float32]:
    """Different integers, which every float type of a checkpoint keeps."""
    return np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)


@dataclass(frozen=True)
class Recorded:
    """A stored tensor of any number of axes that notes which rows are read."""

    data: NDArray[np.float32]
    name: str = "fused"
    dtype: str = "F32"
    read: list[tuple[int, int]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        self.read.append((start, stop))
        return self.data[start:stop].copy()


def weights(**tensors: StoredTensor) -> Weights:
    tokenizer = Tokenizer(None, None, {}, None, False, None, None)
    return Weights(Checkpoint(Path("made-up"), "safetensors", {}, {}, tensors, tokenizer))


def stored_as(kind: str, folder: Path, data: NDArray[np.float32]) -> StoredTensor:
    """`data` as a tensor of a file of one format."""
    if kind == "other":
        return Recorded(data)
    path = folder / kind
    if kind == "gguf":
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tensor("fused", data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return read_gguf(path).tensors["fused"]
    write_safetensors(path, {"fused": data}, kind)
    return read_header(path)["fused"]


def blocks(constant: Constant, step: int) -> NDArray[np.float32]:
    """The constant, read `step` rows at a time."""
    count = constant.shape[0]
    read = [constant.rows(i, min(i + step, count)) for i in range(0, count, step)]
    return np.concatenate(read)


@pytest.mark.parametrize("step", [1, 4, 5, 100])
@pytest.mark.parametrize("kind", ["BF16", "F16", "F32", "gguf", "other"])
def test_row_ranges_of_a_fused_projection(kind: str, step: int, tmp_path: Path) -> None:
    data = values(10, 5)
    w = weights(fused=stored_as(kind, tmp_path, data))
    for rows in (range(4), range(4, 7), range(7, 10)):
        view = w.view("fused", data.shape, rows)
        assert view.shape == (len(rows), 5)
        assert np.array_equal(blocks(view, step), data[rows.start : rows.stop])
    w.check_all_used()


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("kind", ["BF16", "F16", "F32", "gguf", "other"])
def test_experts_of_a_fused_tensor(kind: str, step: int, tmp_path: Path) -> None:
    data = values(EXPERTS, OUT, HIDDEN)
    w = weights(fused=stored_as(kind, tmp_path, data))
    for expert in range(EXPERTS):
        view = w.view("fused", data.shape, expert_rows(expert, OUT))
        assert np.array_equal(blocks(view, step), data[expert])
    w.check_all_used()


def test_half_of_each_expert() -> None:
    data = values(EXPERTS, OUT, HIDDEN)
    w = weights(fused=Recorded(data))
    rows = expert_rows(2, OUT)
    gate = w.view("fused", data.shape, rows[: OUT // 2])
    up = w.view("fused", data.shape, rows[OUT // 2 :])
    assert np.array_equal(blocks(gate, 2), data[2, :3])
    assert np.array_equal(blocks(up, 2), data[2, 3:])


@pytest.mark.parametrize("step", [1, 3, 100])
def test_interleaved_rotary_pairs_become_halves(step: int) -> None:
    halves = values(HEADS * HEAD_DIM, HIDDEN)
    pairs = halves.reshape(HEADS, 2, HEAD_DIM // 2, HIDDEN).swapaxes(1, 2).reshape(halves.shape)
    w = weights(fused=Recorded(pairs))
    view = w.view("fused", pairs.shape, pairs_to_halves(HEADS, HEAD_DIM))
    assert np.array_equal(blocks(view, step), halves)
    w.check_all_used()


def test_every_other_row() -> None:
    data = values(8, 3)
    w = weights(fused=Recorded(data))
    even, odd = (w.view("fused", (8, 3), range(i, 8, 2)) for i in (0, 1))
    assert np.array_equal(blocks(even, 3), data[0::2])
    assert np.array_equal(blocks(odd, 3), data[1::2])
    w.check_all_used()


def test_part_of_a_vector_with_an_offset() -> None:
    w = weights(fused=Recorded(values(6)))
    view = w.view("fused", (6,), range(2, 5), weight_offset=1.0)
    assert blocks(view, 2).tolist() == [4, 5, 6]


def test_a_block_of_a_view_reads_its_own_rows_only() -> None:
    stored = Recorded(values(EXPERTS * OUT, HIDDEN))
    view = weights(fused=stored).view("fused", stored.shape, expert_rows(1, OUT))
    view.rows(2, 4)
    assert stored.read == [(OUT + 2, OUT + 4)]


@pytest.mark.parametrize("kind", ["F32", "gguf"])
def test_files_read_rows_of_an_expert_without_the_others(kind: str, tmp_path: Path) -> None:
    stored = stored_as(kind, tmp_path, values(EXPERTS, OUT, HIDDEN))
    matrix = as_matrix(stored)
    assert type(matrix) is type(stored)
    assert matrix.shape == (EXPERTS * OUT, HIDDEN)


def test_equal_requests_are_one_constant() -> None:
    w = weights(a=Recorded(values(4, 2)), b=Recorded(values(4, 2)))
    assert w.get("a", 4, 2) is w.get("a", 4, 2)
    order = np.array([2, 0, 1, 3])
    assert w.view("b", (4, 2), order) is w.view("b", (4, 2), order.copy())
    assert w.view("b", (4, 2), order).name != "b"


def test_another_shape_or_offset_is_an_error() -> None:
    w = weights(a=Recorded(values(4, 2)), b=Recorded(values(4, 2)))
    w.get("a", 4, 2)
    w.view("b", (4, 2), range(2), weight_offset=1.0)
    with pytest.raises(DamagedCheckpoint, match=r"a has shape \[4, 2\].*asks for \[2, 4\]"):
        w.get("a", 2, 4)
    with pytest.raises(DamagedCheckpoint, match=r"b has shape"):
        w.view("b", (8, 1), range(2))
    with pytest.raises(GraphError, match=r"offset 1.0, and was with 0.0"):
        w.get("a", 4, 2, weight_offset=1.0)
    with pytest.raises(GraphError, match=r"offset 0.0, and was with 1.0"):
        w.view("b", (4, 2), range(2))


def test_rows_belong_to_one_view() -> None:
    w = weights(**{name: Recorded(values(4, 2)) for name in "abc"})
    w.view("a", (4, 2), range(3))
    with pytest.raises(GraphError, match="another view"):
        w.view("a", (4, 2), range(2, 4))
    with pytest.raises(GraphError, match="another view"):
        w.view("b", (4, 2), np.array([0, 0]))
    with pytest.raises(GraphError, match="requested twice"):
        w.get("a", 4, 2)
    w.get("c", 4, 2)
    with pytest.raises(GraphError, match="requested twice"):
        w.view("c", (4, 2), range(2))


@pytest.mark.parametrize("rows", [range(3, 5), range(-1, 2), range(0), np.array([4])])
def test_rows_must_exist(rows: range) -> None:
    with pytest.raises(GraphError, match="4 rows"):
        weights(a=Recorded(values(4, 2))).view("a", (4, 2), rows)


def test_a_tensor_used_in_part_is_reported_with_its_rows() -> None:
    w = weights(a=Recorded(values(4, 2)))
    w.view("a", (4, 2), range(3))
    with pytest.raises(UnsupportedModel, match=r"a \(1 of its rows\)"):
        w.check_all_used()
    w.ignore("a")
    w.check_all_used()


def test_a_missing_tensor_is_named_in_the_message() -> None:
    with pytest.raises(DamagedCheckpoint) as error:
        weights().get("model.norm.weight", 4)
    assert "model.norm.weight" in error.value.what
    with pytest.raises(UnsupportedModel) as left:
        weights(spare=Recorded(values(4))).check_all_used()
    assert "spare" in left.value.what
