"""Safetensors: what is read equals what was written, and what is damaged is refused by name."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from litertlm.checkpoint.safetensors import read_folder, read_header
from litertlm.constants import WEIGHTS_INDEX_FILE
from litertlm.errors import DamagedCheckpoint, ModelNotFound, UnsupportedModel

Header = dict[str, Any]


def write_raw(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with this header, however wrong it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype: str, shape: list[Any], begin: int, end: int) -> Header:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32])
def test_rows_equal_what_was_written(tmp_path: Path, dtype: Any) -> None:
    bits = np.random.default_rng(1).integers(0, 256, (7, 5 * np.dtype(dtype).itemsize), np.uint8)
    values = bits.view(dtype)
    save_file({"a.weight": values, "b": np.arange(3, dtype=np.float32)}, tmp_path / "m.safetensors")

    tensor = read_header(tmp_path / "m.safetensors")["a.weight"]

    assert (tensor.shape, tensor.nbytes) == ((7, 5), values.nbytes)
    for start, stop in [(0, 7), (2, 5), (6, 7), (3, 3)]:
        rows = tensor.rows(start, stop)
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, values[start:stop].astype(np.float32))
        rows[...] = 0  # the caller's own array
    np.testing.assert_array_equal(tensor.rows(0, 7), values.astype(np.float32))


def test_bfloat16_keeps_every_bit_pattern(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256).view(ml_dtypes.bfloat16)
    save_file({"w": values}, tmp_path / "m.safetensors")

    tensor = read_header(tmp_path / "m.safetensors")["w"]

    expected = np.arange(65536, dtype=np.uint32).reshape(256, 256) << 16
    np.testing.assert_array_equal(tensor.rows(0, 256).view(np.uint32), expected)
    np.testing.assert_array_equal(tensor.raw_rows(0, 256), values.view(np.uint16))


def test_two_threads_read_the_same_file(tmp_path: Path) -> None:
    values = np.random.default_rng(2).standard_normal((4096, 64), np.float32)
    save_file({"w": values}, tmp_path / "m.safetensors")
    tensor = read_header(tmp_path / "m.safetensors")["w"]

    with ThreadPoolExecutor(2) as pool:
        blocks = list(pool.map(lambda i: tensor.rows(i, i + 64), range(0, 4096, 64)))

    np.testing.assert_array_equal(np.concatenate(blocks), values)


def test_other_dtypes_are_listed_and_refused_when_read(tmp_path: Path) -> None:
    save_file({"q.weight": np.zeros((2, 2), np.int8)}, tmp_path / "m.safetensors")

    tensor = read_header(tmp_path / "m.safetensors")["q.weight"]

    assert tensor.dtype == "I8"
    with pytest.raises(UnsupportedModel, match=r"q\.weight is stored as I8"):
        tensor.rows(0, 1)


DAMAGE: dict[str, tuple[Header | bytes, bytes, int | None, str]] = {
    "length beyond the file": ({}, b"", 1 << 40, "cut off"),
    "length over the limit": (b"{}", bytes(16_000_001), 16_000_002, "at most"),
    "not JSON": (b"{'a': 1}", b"", None, "JSON"),
    "not UTF-8": (b'{"\xff": 1}', b"", None, "UTF-8"),
    "deeply nested": (b'{"a": ' + b"[" * 100_000, b"", None, "JSON"),
    "not an object": ([1], b"", None, "not a JSON object"),
    "duplicate key": (
        b'{"w": {"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"w": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"x", None, "twice",
    ),
    "entry not an object": ({"w": 3}, b"", None, "Tensor w lacks"),
    "entry without a shape": ({"w": {"dtype": "U8", "data_offsets": [0, 1]}}, b"x", None, "lacks"),
    "unknown dtype": ({"w": entry("Q9", [1], 0, 1)}, b"x", None, "Tensor w has the unknown dtype"),
    "dtype not a text": ({"w": entry([], [1], 0, 1)}, b"x", None, "unknown dtype"),  # type: ignore
    "negative size": ({"w": entry("U8", [-1], 0, 1)}, b"x", None, "Tensor w has the impossible"),
    "fractional size": ({"w": entry("U8", [1.0], 0, 1)}, b"x", None, "impossible shape"),
    "size true": ({"w": entry("U8", [True], 0, 1)}, b"x", None, "impossible shape"),
    "too many axes": ({"w": entry("U8", [1] * 40, 0, 1)}, b"x", None, "impossible shape"),
    "three offsets": (
        {"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 1]}}, b"x", None, "offsets",
    ),
    "negative offset": ({"w": entry("U8", [2], -1, 1)}, b"xx", None, "impossible data_offsets"),
    "backward offsets": ({"w": entry("U8", [1], 1, 0)}, b"x", None, "which is not U8"),
    "wrong dtype": ({"w": entry("F32", [2], 0, 4)}, b"xxxx", None, "which is not F32"),
    "beyond the end": ({"w": entry("F16", [2], 0, 4)}, b"xxx", None, "Tensor w ends beyond"),
    "overlap": (
        {"v": entry("U8", [2], 0, 2), "w": entry("U8", [2], 1, 3)}, b"xxx", None, "w overlaps",
    ),
    "gap": ({"v": entry("U8", [1], 0, 1), "w": entry("U8", [1], 2, 3)}, b"xxx", None, "w follows"),
    "rest": ({"w": entry("U8", [1], 0, 1)}, b"xxx", None, "belong to no tensor"),
    "metadata not an object": ({"__metadata__": 1}, b"", None, "__metadata__"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_with_its_name(tmp_path: Path, damage: str) -> None:
    header, data, length, message = DAMAGE[damage]
    path = write_raw(tmp_path / "m.safetensors", header, data, length)

    with pytest.raises(DamagedCheckpoint) as caught:
        read_header(path)

    assert str(path) in caught.value.what
    assert message in caught.value.what + caught.value.why


@pytest.mark.parametrize("size", [0, 1, 7])
def test_shorter_than_the_header_length(tmp_path: Path, size: int) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(bytes(size))
    with pytest.raises(DamagedCheckpoint, match=r"m\.safetensors is damaged"):
        read_header(path)


def test_a_git_lfs_pointer_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DamagedCheckpoint) as caught:
        read_folder(tmp_path)
    assert "Git LFS" in caught.value.why


def test_a_header_of_100_mb_of_json_is_not_parsed(tmp_path: Path) -> None:
    text = b'{"w":[' + b"[]," * 33_000_000 + b"0]}"
    path = write_raw(tmp_path / "m.safetensors", text)
    with pytest.raises(DamagedCheckpoint) as caught:
        read_header(path)
    assert "Its header has 99,000,009 bytes; at most 16,000,000 are read" in caught.value.why


def test_a_file_cut_off_after_its_header_was_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"w": np.ones((8, 8), np.float32)}, path)
    tensor = read_folder(tmp_path)["w"]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DamagedCheckpoint, match="ends inside of tensor w"):
        tensor.rows(0, 8)


def shards(folder: Path, weight_map: dict[str, Any] | None = None) -> Path:
    save_file({"a": np.ones(2, np.float32)}, folder / "model-00001-of-00002.safetensors")
    save_file({"b": np.ones(3, np.float32)}, folder / "model-00002-of-00002.safetensors")
    default = {
        "a": "model-00001-of-00002.safetensors",
        "b": "model-00002-of-00002.safetensors",
    }
    index = {"metadata": {}, "weight_map": default if weight_map is None else weight_map}
    (folder / WEIGHTS_INDEX_FILE).write_text(json.dumps(index))
    return folder


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    tensors = read_folder(shards(tmp_path))
    assert {name: t.shape for name, t in tensors.items()} == {"a": (2,), "b": (3,)}
    np.testing.assert_array_equal(tensors["b"].rows(0, 3), np.ones(3))


def test_links_into_the_hub_cache_work(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for name in [
        WEIGHTS_INDEX_FILE,
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]:
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    shards(blobs)
    assert list(read_folder(snapshot)) == ["a", "b"]


@pytest.mark.parametrize(
    "name",
    [
        "../model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", "", 3, None,
        "a\\b.safetensors", "C:b.safetensors", "model.bin", "a\0.safetensors",
    ],
)  # fmt: skip
def test_an_index_names_plain_files_only(tmp_path: Path, name: Any) -> None:
    shards(tmp_path, {"a": name})
    with pytest.raises(DamagedCheckpoint, match="places tensor a in"):
        read_folder(tmp_path)


def missing_shard(folder: Path) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()


def missing_tensor(folder: Path) -> None:
    shards(
        folder, {"a": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    )


def tensor_in_the_other_shard(folder: Path) -> None:
    shards(
        folder, {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}
    )


def tensor_in_two_shards(folder: Path) -> None:
    save_file({"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)},
              folder / "model-00002-of-00002.safetensors")  # fmt: skip


def shard_is_a_folder(folder: Path) -> None:
    missing_shard(folder)
    (folder / "model-00002-of-00002.safetensors").mkdir()


def no_index(folder: Path) -> None:
    (folder / WEIGHTS_INDEX_FILE).unlink()


def no_weight_map(folder: Path) -> None:
    (folder / WEIGHTS_INDEX_FILE).write_text('{"metadata": {}}')


def index_not_json(folder: Path) -> None:
    (folder / WEIGHTS_INDEX_FILE).write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing_shard, "model-00002-of-00002.safetensors is missing"),
        (missing_tensor, "does not contain tensor c"),
        (tensor_in_the_other_shard, "does not contain tensor a"),
        (tensor_in_two_shards, "Tensor a is in two shards"),
        (shard_is_a_folder, "is not a file"),
        (no_index, "no model.safetensors.index.json"),
        (no_weight_map, "has no weight_map"),
        (index_not_json, "is not valid JSON"),
    ],
)
def test_damaged_shards(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    shards(tmp_path)
    damage(tmp_path)
    with pytest.raises(DamagedCheckpoint) as caught:
        read_folder(tmp_path)
    assert message in caught.value.what


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no safetensors weights"):
        read_folder(tmp_path)
