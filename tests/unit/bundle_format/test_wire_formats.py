"""Protobuf and flatbuffer reading: what is written is read, and malformed input ends soon."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litertlm.bundle_format import protobuf
from litertlm.bundle_format.flatbuffer import FlatBuffer


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=3))
def test_varints(value: int, before: bytes) -> None:
    data = before + protobuf.varint(value) + b"rest"
    assert protobuf.read_varint(data, len(before)) == (value, len(data) - 4)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(-(1 << 31), (1 << 31) - 1) | st.binary()))
)
def test_fields(fields: list[tuple[int, int | bytes]]) -> None:
    message = b"".join(
        protobuf.varint_field(number, value)
        if isinstance(value, int)
        else protobuf.bytes_field(number, value)
        for number, value in fields
    )
    found = [
        (number, protobuf.as_int32(value) if isinstance(value, int) else value)
        for number, value in protobuf.read_fields(message)
    ]
    assert found == fields


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\x80" * 1000, "varint"),
        (b"\x0a\x05abc", "beyond its message"),
        (b"\x0b", "wire type 3"),  # a group
        (b"\x0d\x00\x00", "beyond its message"),
    ],
)
def test_malformed_messages(message: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        list(protobuf.read_fields(message))


@given(st.floats(width=32, allow_nan=False))
def test_floats(value: float) -> None:
    ((number, stored),) = protobuf.read_fields(b"\x0d" + struct.pack("<f", value))
    assert (number, protobuf.as_float(stored)) == (1, value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    buffer = FlatBuffer(data)
    with contextlib.suppress(ValueError, struct.error):
        for table in buffer.tables(buffer.root(), 0):
            buffer.string(table, 0)
            buffer.scalar(table, 1, "<Q")
    with contextlib.suppress(ValueError):
        list(protobuf.read_fields(data))


def test_many_references_to_one_text_are_refused() -> None:
    """A small file must not make the reader copy a large text over and over."""
    count, length = 1000, 10_000
    shared = 24 + 4 * count  # position of the one table that all references lead to
    data = b"".join(
        [
            struct.pack("<I", 12),  # the root table is at byte 12
            struct.pack("<HHHxx", 6, 8, 4),  # a vtable for both tables: field 0 at offset 4
            struct.pack("<iI", 12 - 4, 4),  # the root: its field 0 refers to byte 20
            struct.pack("<I", count),
            *(struct.pack("<I", shared - position) for position in range(24, shared, 4)),
            struct.pack("<iI", shared - 4, 4),
            struct.pack("<I", length) + b"a" * length,
        ]
    )
    buffer = FlatBuffer(data)
    texts = (buffer.string(table, 0) for table in buffer.tables(buffer.root(), 0))
    assert next(texts) == "a" * length
    with pytest.raises(ValueError, match="too often"):
        list(texts)


class CountedBytes(bytes):
    """Bytes that count how many of them are copied."""

    copied = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        self.copied += len(part) if isinstance(part, bytes) else 1
        return part


@pytest.mark.parametrize(
    "field",
    [b"\x08\x01", b"\x08" + b"\xff" * 9 + b"\x01", b"\x0a\x00", b"\x0a\x05abcde", b"\x0d1234"],
)
def test_reading_fields_is_linear(field: bytes) -> None:
    data = CountedBytes(field * 100_000)
    assert sum(1 for _ in protobuf.read_fields(data)) == 100_000
    assert data.copied <= 10 * len(data)  # 10 bytes per varint at most


def test_reading_packed_integers_is_linear() -> None:
    data = CountedBytes(b"\x01" * 100_000)
    assert protobuf.as_int32_list(data) == [1] * 100_000
    assert data.copied <= 10 * len(data)


def test_a_varint_without_end_is_refused_after_ten_bytes() -> None:
    data = CountedBytes(b"\x80" * 1_000_000)
    with pytest.raises(ValueError, match="varint"):
        protobuf.read_varint(data, 0)
    assert data.copied == 10
