"""Random and mutated checkpoint files: the right tensors or an error of ours, nothing else."""

from __future__ import annotations

import struct
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from safetensors import deserialize
from safetensors.numpy import save

from litertlm.checkpoint import open_checkpoint
from litertlm.checkpoint.safetensors import read_header
from litertlm.errors import LiteRtLmError
from tiny import MODELS
from tiny.gguf_file import write_gguf

STORED = {"BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32}
NAMES = st.text(st.sampled_from('abc.0_/é"\\ \n{}'), max_size=12).filter("__metadata__".__ne__)


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    made = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        dtype = np.dtype(draw(st.sampled_from(list(STORED.values()))))
        shape = draw(array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
        bits = random.integers(0, 256, int(np.prod(shape)) * dtype.itemsize, np.uint8)
        made[name] = bits.view(dtype).reshape(shape)
    return made


@settings(max_examples=60, deadline=None, derandomize=True)
@given(values=tensors(), data=st.data())
def test_random_files_read_back_equal(values: dict[str, Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(save(values))

        read = read_header(path)

        assert read.keys() == values.keys()
        for name, value in values.items():
            start = data.draw(st.integers(0, value.shape[0]))
            stop = data.draw(st.integers(start, value.shape[0]))
            np.testing.assert_array_equal(
                read[name].rows(start, stop), value[start:stop].astype(np.float32), strict=True
            )


def mutated(original: bytes, limit: int) -> st.SearchStrategy[bytes]:
    """The file with bytes changed, cut out, repeated or put in, mostly among its first `limit`."""
    place = st.integers(0, min(limit, len(original)) - 1)
    interesting = st.sampled_from([b"\0", b"\xff", b"\x7f", b"9", b"-", b"[", b'"', b"\xff" * 8])
    content = interesting | st.binary(min_size=1, max_size=9)

    def overwrite(at: int, new: bytes) -> bytes:
        return original[:at] + new + original[at + len(new) :]

    def insert(at: int, new: bytes) -> bytes:
        return original[:at] + new + original[at:]

    def cut(at: int, count: int) -> bytes:
        return original[:at] + original[at + count :]

    return st.one_of(
        st.builds(overwrite, place, content),
        st.builds(insert, place, content),
        st.builds(cut, place, st.integers(1, 64)),
        st.builds(lambda at: original[:at], st.integers(0, len(original))),
        st.builds(lambda tail: original + tail, st.binary(min_size=1, max_size=9)),
    )


@lru_cache(maxsize=1)
def small_safetensors() -> bytes:
    random = np.random.default_rng(3)
    return save(
        {
            "model.embed.weight": random.standard_normal((4, 6), np.float32),
            "model.norm.weight": random.standard_normal(6).astype(np.float16),
            "model.up.weight": random.standard_normal((3, 4)).astype(ml_dtypes.bfloat16),
        }
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_mutated_safetensors_are_refused_or_read_as_the_reference_does(data: st.DataObject) -> None:
    header_size = 8 + struct.unpack("<Q", small_safetensors()[:8])[0]
    content = data.draw(mutated(small_safetensors(), header_size + 8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(content)
        try:
            ours = {
                name: tensor.rows(0, tensor.shape[0] if tensor.shape else 0)
                for name, tensor in read_header(path).items()
            }
        except LiteRtLmError:
            return
    reference = dict(deserialize(content))
    assert ours.keys() == reference.keys()
    for name, entry in reference.items():
        value = np.frombuffer(entry["data"], STORED[entry["dtype"]]).astype(np.float32)
        np.testing.assert_array_equal(ours[name], value.reshape(entry["shape"]))


@lru_cache(maxsize=1)
def small_gguf() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_gguf(MODELS["llama-gqa-tied"], Path(folder) / "m.gguf").read_bytes()


def rows(path: Path) -> dict[str, Any]:
    """Shapes and rows of all tensors, by name."""
    opened = open_checkpoint(path)
    return {name: tensor.rows(0, tensor.shape[0]) for name, tensor in opened.tensors.items()}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_mutated_gguf_files_are_refused_or_read_alike(data: st.DataObject) -> None:
    original = small_gguf()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(original)
        expected = rows(path)
        header_size = len(original) - sum(value.nbytes for value in expected.values())
        path.write_bytes(data.draw(mutated(original, header_size - 64 * len(expected))))
        try:
            ours = rows(path)
        except LiteRtLmError:
            return
    # What was changed is then a name, a parameter or a text, and no tensor's place or type.
    sizes = sorted(value.size for value in ours.values())
    assert sizes == sorted(value.size for value in expected.values())
