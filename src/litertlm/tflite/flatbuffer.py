"""A fast flatbuffer encoder in Python: each table is packed by one `struct` call.

The format: https://flatbuffers.dev/internals. As in the reference builders a buffer is written
from its end to its start, so that everything is written after what it refers to. A `Ref` is a
distance from the end of the buffer. (The package `flatbuffers` is several times slower
per table; bench/graph.py measures both.)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ref = int

_ALIGN = 16  # of the buffer; no element needs more (Buffer.data is force_align 16)


class Builder:
    """Collects objects; equal strings, vectors and tables' layouts are stored once."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._layouts: dict[str, _Layout] = {}
        self._strings: dict[str, Ref] = {}
        self._ints: dict[Sequence[int], Ref] = {}
        self._shared: dict[tuple[bytes, int, int], Ref] = {}

    def table(self, form: str, *values: Any) -> Ref:
        """A table with these fields; leave out those that have their default value.

        Args:
            form: for each value its slot and a struct character, or `o` for an offset to a Ref:
                "0o 2i".
        """
        layout = self._layouts.get(form) or self._layout(form)
        size = layout.size
        end = self._size
        pad = -(end + size) % layout.align
        ref = end + pad + size
        packed = [layout.vtable - ref]
        for index, position in layout.order:
            packed.append(values[index] if position is None else ref - position - values[index])
        self._chunks.append(layout.struct.pack(*packed) + bytes(pad))
        self._size = ref
        return ref

    def field_ref(self, table: Ref, form: str, index: int) -> Ref:
        """The position of field `index` of a table of this form, for patching."""
        return table - self._layout(form).positions[index]

    def string(self, text: str) -> Ref:
        """A zero-terminated UTF-8 string."""
        ref = self._strings.get(text)
        if ref is None:
            data = text.encode()
            ref = self._strings[text] = self._vector(data + b"\0", len(data), 4)
        return ref

    def ints(self, values: Sequence[int]) -> Ref:
        """A vector of int32."""
        key = tuple(values)
        ref = self._ints.get(key)
        if ref is None:
            data = struct.pack(f"<{len(key)}i", *key)
            ref = self._ints[key] = self._vector(data, len(key), 4)
        return ref

    def array(self, values: NDArray[Any]) -> Ref:
        """A vector of a numpy array's little-endian elements; equal ones are stored once."""
        data = np.ascontiguousarray(values).tobytes()
        return self._once(data, values.size, values.itemsize)

    def blob(self, data: bytes) -> Ref:
        """A vector of bytes, aligned to 16; equal ones are stored once."""
        return self._once(data, len(data), 16)

    def refs(self, targets: Sequence[Ref]) -> Ref:
        """A vector of offsets."""
        count = len(targets)
        pad = -self._size % 4
        first = self._size + pad + 4 * count
        data = struct.pack(f"<{count}I", *[first - 4 * i - t for i, t in enumerate(targets)])
        return self._append(struct.pack("<I", count) + data + bytes(pad))

    def finish(self, root: Ref, identifier: bytes) -> bytearray:
        """The finished buffer. The position of a ref is len(buffer) - ref."""
        size = self._size + 8
        size += -size % _ALIGN
        head = struct.pack("<I4s", size - root, identifier)
        self._append(head + bytes(size - self._size - 8))
        return bytearray().join(reversed(self._chunks))

    def _append(self, data: bytes) -> Ref:
        self._chunks.append(data)
        self._size += len(data)
        return self._size

    def _once(self, data: bytes, count: int, align: int) -> Ref:
        key = (data, count, align)
        ref = self._shared.get(key)
        if ref is None:
            ref = self._shared[key] = self._vector(data, count, align)
        return ref

    def _vector(self, data: bytes, count: int, align: int) -> Ref:
        pad = -(self._size + len(data)) % max(align, 4)
        return self._append(struct.pack("<I", count) + data + bytes(pad))

    def _layout(self, form: str) -> _Layout:
        layout = self._layouts.get(form)
        if layout is None:
            layout = self._layouts[form] = _Layout(form)
            pad = -(self._size + len(layout.vtable_bytes)) % 4
            layout.vtable = self._append(layout.vtable_bytes + bytes(pad))
        return layout


class _Layout:
    """The positions of the fields of one form of table: largest first, each aligned to its size.

    Attributes:
        order: the index of each field in memory order, and for an offset its position.
    """

    def __init__(self, form: str) -> None:
        slots = [int(field[:-1]) for field in form.split()]
        kinds = [field[-1] for field in form.split()]
        sizes = [4 if kind == "o" else struct.calcsize("<" + kind) for kind in kinds]
        by_size = sorted(range(len(kinds)), key=lambda i: -sizes[i])
        self.align = max([4, *sizes])
        self.positions = [0] * len(kinds)
        packing, end = "<i", 4
        for i in by_size:
            gap = -end % sizes[i]
            packing += "x" * gap + ("I" if kinds[i] == "o" else kinds[i])
            self.positions[i] = end + gap
            end += gap + sizes[i]
        packing += "x" * (-end % 4)
        self.order = [(i, self.positions[i] if kinds[i] == "o" else None) for i in by_size]
        self.struct = struct.Struct(packing)
        self.size = self.struct.size
        by_slot = [0] * (max(slots, default=-1) + 1)
        for slot, position in zip(slots, self.positions, strict=True):
            by_slot[slot] = position
        self.vtable_bytes = struct.pack(
            f"<{2 + len(by_slot)}H", 4 + 2 * len(by_slot), self.size, *by_slot
        )
        self.vtable: Ref = 0
