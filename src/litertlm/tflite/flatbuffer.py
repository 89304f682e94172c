"""A flatbuffer encoder that is quick from Python: whole tables are packed by one `struct` call.

The format: https://flatbuffers.dev/internals. As in the reference builders a buffer is written
from its end to its start, so that everything is written after what it refers to. A `Ref` is a
distance from the end of the buffer. (The package `flatbuffers` takes about three times as long
for a table; bench/graph.py measures both.)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ref = int

# (slot, format, value): format is a struct character, or `o` for an offset to a Ref.
Field = tuple[int, str, Any]

_ALIGN = 16  # of the whole buffer; no element needs more (Buffer.data is force_align 16)


class Builder:
    """Collects objects; equal strings, vectors and tables' layouts are stored once."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._layouts: dict[tuple[tuple[int, str], ...], _Layout] = {}
        self._shared: dict[tuple[bytes, int, int], Ref] = {}

    def table(self, *fields: Field) -> Ref:
        """A table with the given fields; leave out those that have their default value."""
        layout = self._layout(tuple((slot, kind) for slot, kind, _ in fields))
        pad = -(self._size + layout.size) % layout.align
        ref = self._size + pad + layout.size
        values: list[Any] = [layout.vtable - ref]
        for index in layout.order:
            _, kind, value = fields[index]
            if kind == "o":
                value = ref - layout.positions[index] - value
            values.append(value)
        self._chunks.append(layout.struct.pack(*values) + bytes(pad))
        self._size = ref
        return ref

    def field_ref(self, table: Ref, kinds: Sequence[tuple[int, str]], index: int) -> Ref:
        """Where field `index` of a table made from fields of these kinds lies, for patching."""
        return table - self._layout(tuple(kinds)).positions[index]

    def string(self, text: str) -> Ref:
        """A zero-terminated UTF-8 string."""
        data = text.encode()
        return self._vector(data + b"\0", len(data), 4, share=True)

    def ints(self, values: Sequence[int]) -> Ref:
        """A vector of int32."""
        data = struct.pack(f"<{len(values)}i", *values)
        return self._vector(data, len(values), 4, share=True)

    def array(self, values: NDArray[Any], *, share: bool) -> Ref:
        """A vector of a numpy array's little-endian elements; `share` stores equal ones once.

        An unshared vector's data starts four bytes after its ref, for patching.
        """
        data = np.ascontiguousarray(values).tobytes()
        return self._vector(data, values.size, values.itemsize, share=share)

    def blob(self, data: bytes) -> Ref:
        """A vector of bytes, aligned to 16."""
        return self._vector(data, len(data), 16, share=True)

    def refs(self, targets: Sequence[Ref]) -> Ref:
        """A vector of offsets."""
        count = len(targets)
        pad = -self._size % 4
        first = self._size + pad + 4 * count
        data = struct.pack(f"<{count}I", *[first - 4 * i - t for i, t in enumerate(targets)])
        return self._append(struct.pack("<I", count) + data + bytes(pad))

    def finish(self, root: Ref, identifier: bytes) -> bytes:
        """The whole buffer. Position of a ref: len(buffer) - ref."""
        size = self._size + 8
        size += -size % _ALIGN
        head = struct.pack("<I4s", size - root, identifier)
        self._append(head + bytes(size - self._size - 8))
        return b"".join(reversed(self._chunks))

    def _append(self, data: bytes) -> Ref:
        self._chunks.append(data)
        self._size += len(data)
        return self._size

    def _vector(self, data: bytes, count: int, align: int, *, share: bool) -> Ref:
        # A string's count leaves out its final zero, so equal bytes may be different vectors.
        key = (data, count, align)
        if share and key in self._shared:
            return self._shared[key]
        pad = -(self._size + len(data)) % max(align, 4)
        ref = self._append(struct.pack("<I", count) + data + bytes(pad))
        if share:
            self._shared[key] = ref
        return ref

    def _layout(self, kinds: tuple[tuple[int, str], ...]) -> _Layout:
        layout = self._layouts.get(kinds)
        if layout is None:
            layout = _Layout(kinds)
            pad = -(self._size + len(layout.vtable_bytes)) % 4
            layout.vtable = self._append(layout.vtable_bytes + bytes(pad))
            self._layouts[kinds] = layout
        return layout


class _Layout:
    """Where the fields of one kind of table lie: largest first, each aligned to its size."""

    def __init__(self, kinds: tuple[tuple[int, str], ...]) -> None:
        sizes = [4 if kind == "o" else struct.calcsize("<" + kind) for _, kind in kinds]
        self.order = sorted(range(len(kinds)), key=lambda i: -sizes[i])
        self.align = max([4, *sizes])
        self.positions = [0] * len(kinds)
        form, end = "<i", 4
        for i in self.order:
            gap = -end % sizes[i]
            form += "x" * gap + ("I" if kinds[i][1] == "o" else kinds[i][1])
            self.positions[i] = end + gap
            end += gap + sizes[i]
        form += "x" * (-end % 4)
        self.struct = struct.Struct(form)
        self.size = self.struct.size
        slots = [0] * (max((slot for slot, _ in kinds), default=-1) + 1)
        for (slot, _), position in zip(kinds, self.positions, strict=True):
            slots[slot] = position
        self.vtable_bytes = struct.pack(
            f"<{2 + len(slots)}H", 4 + 2 * len(slots), self.size, *slots
        )
        self.vtable: Ref = 0
