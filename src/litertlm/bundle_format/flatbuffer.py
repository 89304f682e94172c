"""Reading flatbuffers: tables, vectors and strings, by the field numbers of a schema.

Format: https://flatbuffers.dev/internals. Offsets in a damaged or malicious buffer may lead
anywhere, and many of them to the same place. So each read is checked against the buffer, and all
reads together are bounded by its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_READS_PER_BYTE = 4  # far more than a buffer needs that shares strings between tables
_LEAST_READS = 1 << 12


class FlatBuffer:
    """A flatbuffer in memory. A position of 0 means that a field is missing.

    Methods raise ValueError or struct.error where the buffer is malformed.

    Args:
        data: the buffer; slices of it are copied only for strings.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self._left = _READS_PER_BYTE * len(data) + _LEAST_READS

    def root(self) -> int:
        """The position of the root table."""
        return self._follow(0)

    def field(self, table: int, number: int) -> int:
        """The position of a field of a table, or 0."""
        vtable = table - self.number("<i", table)
        if vtable < 0:
            raise ValueError("a table refers to a position before the buffer")
        place = 4 + 2 * number
        if place >= self.number("<H", vtable):
            return 0
        offset = self.number("<H", vtable + place)
        return table + offset if offset else 0

    def table(self, table: int, number: int) -> int:
        """The position of the table that a field refers to, or 0."""
        field = self.field(table, number)
        return self._follow(field) if field else 0

    def tables(self, table: int, number: int) -> Iterator[int]:
        """The positions of the tables in the vector that a field refers to."""
        start = self.table(table, number)
        for index in range(self.number("<I", start) if start else 0):
            self._charge(4)
            yield self._follow(start + 4 + 4 * index)

    def string(self, table: int, number: int) -> str | None:
        """The text that a field refers to, or None."""
        start = self.table(table, number)
        if not start:
            return None
        length = self.number("<I", start)
        self._charge(length)
        text = bytes(self._data[start + 4 : start + 4 + length])
        if len(text) != length:
            raise ValueError("a string ends beyond the buffer")
        return text.decode()

    def scalar(self, table: int, number: int, code: str) -> int:
        """The integer of a field, 0 if it is missing; `code` as in struct (`<Q`)."""
        field = self.field(table, number)
        return self.number(code, field) if field else 0

    def number(self, code: str, position: int) -> int:
        """The number at a position."""
        value: int = struct.unpack_from(code, self._data, position)[0]
        return value

    def _follow(self, position: int) -> int:
        return position + self.number("<I", position)

    def _charge(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("the same parts of the buffer are referred to too often")
