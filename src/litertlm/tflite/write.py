"""Stream the weights of a planned TFLite file into their places.

Work is cut into blocks of rows of about two megabytes; each is read, encoded and written by one
thread, straight to its final offset, so memory stays the same for any model.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.errors import ConversionFailed
from litertlm.tflite.plan import Layout, Placed

# float32 values of one block of rows: 2 MiB. Of smaller ones there are so many that the threads
# wait for Python; larger ones no longer fit the caches.
BLOCK_VALUES = 1 << 19


def write(
    fd: int, base: int, layout: Layout, *, threads: int, advance: Callable[[int], None]
) -> None:
    """Write a TFLite file at offset `base` of the open file `fd`.

    Args:
        threads: how many blocks are worked on at once.
        advance: called with the number of bytes written, from several threads.

    Raises:
        ConversionFailed: a weight is NaN or infinite; the tensor is named.
        OSError: the disk is full, or the checkpoint cannot be read.
    """
    scales = {
        i: np.zeros(_scale_shape(w), np.float16 if w.encoding.block else np.float32)
        for i, w in enumerate(layout.weights)
        if w.encoding.scaled
    }

    blocks = deque(_blocks(layout))

    def work() -> None:
        while True:
            try:
                index, start, stop = blocks.popleft()
            except IndexError:
                return
            advance(_block(fd, base, layout.weights[index], start, stop, scales.get(index)))

    with ThreadPoolExecutor(threads) as pool:
        try:
            for worker in as_completed([pool.submit(work) for _ in range(threads)]):
                worker.result()
        finally:
            blocks.clear()  # after an error or Ctrl-C the threads end with their present block
    pwrite_all(fd, layout.flatbuffer, base)
    for index, values in scales.items():
        where = layout.weights[index].scales
        assert where is not None
        pwrite_all(fd, values, base + where)


def _blocks(layout: Layout) -> Iterator[tuple[int, int, int]]:
    for index, weight in enumerate(layout.weights):
        shape = weight.constant.shape
        step = max(1, BLOCK_VALUES // max(1, prod(shape[1:])))
        for start in range(0, shape[0], step):
            yield index, start, min(start + step, shape[0])


def _block(
    fd: int, base: int, weight: Placed, start: int, stop: int, scales: NDArray[Any] | None
) -> int:
    constant, encoding = weight.constant, weight.encoding
    values = constant.rows(start, stop)
    if encoding.bits < 32 and values.ndim == 2:
        try:
            data, found = encoding.encode(values)
        except ValueError as error:
            raise ConversionFailed(
                f"The weights of {constant.name} cannot be quantized.",
                why=f"Rows {start} to {stop - 1} hold a value that is NaN or infinite.",
                hint="The checkpoint is damaged or was not trained to the end.",
            ) from error
        if scales is not None:
            scales[start:stop] = found
    else:
        data = values
    row = encoding.nbytes(constant.shape) // constant.shape[0]
    pwrite_all(fd, data, base + weight.offset + start * row)
    return (stop - start) * row


def _scale_shape(weight: Placed) -> tuple[int, ...]:
    rows, cols = weight.constant.shape
    block = weight.encoding.block
    return (rows, cols // block) if block else (rows,)


def pwrite_all(fd: int, data: bytes | NDArray[Any], offset: int) -> None:
    """os.pwrite until everything is written."""
    view = memoryview(data if isinstance(data, bytes) else np.ascontiguousarray(data).data)
    view = view.cast("B")
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done
