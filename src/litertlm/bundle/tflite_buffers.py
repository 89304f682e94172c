"""The weights of a TFLite model that are outside of its flatbuffer."""

from __future__ import annotations

import struct

from litertlm.bundle_format.flatbuffer import FlatBuffer

# Field numbers in tflite/schema/schema.fbs.
_MODEL_BUFFERS = 4
_BUFFER_OFFSET, _BUFFER_SIZE = 1, 2


def weight_ranges(data: bytes | memoryview) -> list[tuple[int, int]]:
    """`(begin, end)` of every buffer that is outside of the flatbuffer, in file order.

    Args:
        data: the TFLite file.

    Raises:
        ValueError: it cannot be read.
    """
    model = FlatBuffer(data)
    ranges = []
    try:
        for buffer in model.tables(model.root(), _MODEL_BUFFERS):
            offset = model.scalar(buffer, _BUFFER_OFFSET, "<Q")
            size = model.scalar(buffer, _BUFFER_SIZE, "<Q")
            if size:
                ranges.append((offset, offset + size))
    except struct.error as error:
        raise ValueError(f"it is not a TFLite model ({error})") from error
    return sorted(ranges)
