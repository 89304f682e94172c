"""Where the weights of a TFLite model lie, which may be outside of its flatbuffer."""

from __future__ import annotations

import struct
from typing import Any

from flatbuffers import encode, number_types, packer
from flatbuffers.table import Table

# Places in a vtable: 4 + 2 * the field's number in tflite/schema/schema.fbs.
_MODEL_BUFFERS = 12
_BUFFER_OFFSET, _BUFFER_SIZE = 6, 8


def weight_ranges(data: Any) -> list[tuple[int, int]]:
    """`(begin, end)` of every buffer that lies outside of the flatbuffer, in file order.

    Args:
        data: the TFLite file, something that can be indexed as bytes can.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        model = Table(data, encode.Get(packer.uoffset, data, 0))
        field = model.Offset(_MODEL_BUFFERS)
        if not field:
            return []
        start = model.Vector(field)
        ranges = []
        for number in range(model.VectorLen(field)):
            buffer = Table(data, model.Indirect(start + 4 * number))
            offset, size = (_number(buffer, place) for place in (_BUFFER_OFFSET, _BUFFER_SIZE))
            if size:
                ranges.append((offset, offset + size))
    except (struct.error, IndexError, TypeError) as error:
        raise ValueError(f"it is no TFLite model ({error})") from error
    return sorted(ranges)


def _number(table: Table, place: int) -> int:
    field = table.Offset(place)
    return int(table.Get(number_types.Uint64Flags, table.Pos + field)) if field else 0
