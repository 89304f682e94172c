"""Stream the weights of a planned TFLite file into their places.

Work is cut into blocks of rows of about two megabytes; each is read, encoded and written by one
thread, straight to its final offset, so memory stays the same for any model.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.disk import pwrite
from litertlm.errors import ConversionFailed
from litertlm.tflite.plan import Layout, Placed

# float32 values of one block of rows: 2 MiB. Of smaller ones there are so many that the threads
# wait for Python; larger ones no longer fit the caches.
BLOCK_VALUES = 1 << 19

_END = (chr(0x10FFFF), 0)  # after all files


def write(
    fd: int,
    base: int,
    layout: Layout,
    *,
    threads: int,
    advance: Callable[[int], None],
    final: Callable[[int], None] = lambda end: None,
    arrival: Arrival | None = None,
) -> None:
    """Write a TFLite file at offset `base` of the open file `fd`.

    Args:
        threads: how many blocks are worked on at once.
        advance: called with the number of bytes written, from several threads.
        final: called with an offset of `fd` before which nothing of this file will change, from
            several threads and not always in order.
        arrival: for weights that are still downloaded: they are written in the order of their
            bytes in the checkpoint instead of that of the file.

    Raises:
        ConversionFailed: a weight is NaN or infinite; the tensor is named.
        OSError: the disk is full, or the checkpoint cannot be read.
    """
    scales = {
        i: np.zeros(_scale_shape(w), np.float16 if w.encoding.block else np.float32)
        for i, w in enumerate(layout.weights)
        if w.encoding.scaled
    }
    pwrite_all(fd, layout.flatbuffer, base)
    blocks = _Blocks(layout, arriving=arrival is not None)

    def work() -> None:
        while (block := blocks.take()) is not None:
            weight, found = layout.weights[block.weight], scales.get(block.weight)
            advance(_write_block(fd, base, weight, block, found, arrival))
            final(base + blocks.written(block))
            if arrival:
                arrival.passed(blocks.next_place())

    if arrival:
        arrival.passed(blocks.next_place())
    with ThreadPoolExecutor(threads) as pool:
        try:
            for worker in as_completed([pool.submit(work) for _ in range(threads)]):
                worker.result()
        except BaseException:
            if arrival:
                arrival.cancel()
            raise
        finally:
            blocks.drop()  # after an error or Ctrl-C the threads end with their present block
    for index, values in scales.items():
        where = layout.weights[index].scales
        assert where is not None
        if values.ndim == 1:
            pwrite_all(fd, len(values).to_bytes(4, "little"), base + where - 4)
        pwrite_all(fd, values, base + where)
    final(base + layout.nbytes)


@dataclass(frozen=True)
class Arrival:
    """How to write weights while they are downloaded.

    Attributes:
        seen: called with the first and the last row of every weight, `[1, *shape[1:]]`, as soon
            as they are read; from several threads.
        passed: called with a place in the checkpoint before which nothing is left to read; from
            several threads, and not always in order.
        cancel: called if the writing ends early, so that no thread waits for rows any longer.
    """

    seen: Callable[[Placed, int, NDArray[Any]], None]
    passed: Callable[[tuple[str, int]], None]
    cancel: Callable[[], None]


@dataclass(frozen=True)
class _Block:
    """Rows `[start, stop)` of a weight, which begin at `offset` of the TFLite file."""

    weight: int
    start: int
    stop: int
    offset: int


class _Blocks:
    """The blocks of a file for several threads, in its order or in that of the checkpoint."""

    def __init__(self, layout: Layout, *, arriving: bool) -> None:
        blocks = list(_blocks(layout))
        self._places = {block: _place(layout, block) for block in blocks} if arriving else {}
        if arriving:
            blocks.sort(key=self._places.__getitem__)
        self._waiting = deque(blocks)
        self._taken: set[_Block] = set()
        # In the order of the checkpoint, nothing is known to be final before the end.
        self._end = 0 if arriving else layout.first_scales
        self._lock = threading.Lock()

    def take(self) -> _Block | None:
        """The next block, if there is one."""
        with self._lock:
            if not self._waiting:
                return None
            block = self._waiting.popleft()
            self._taken.add(block)
            return block

    def written(self, block: _Block) -> int:
        """Note that a block was written; the offset before which nothing is left to write."""
        with self._lock:
            self._taken.remove(block)
            following = [self._waiting[0].offset] if self._waiting else []
            return min([self._end, *(taken.offset for taken in self._taken), *following])

    def next_place(self) -> tuple[str, int]:
        """The first place in the checkpoint that is still to be read, of those that arrive."""
        with self._lock:
            return min(
                (self._places[block] for block in (*self._taken, *list(self._waiting)[:1])),
                default=_END,
            )

    def drop(self) -> None:
        """Discard the blocks that no thread has taken."""
        with self._lock:
            self._waiting.clear()


def _place(layout: Layout, block: _Block) -> tuple[str, int]:
    constant = layout.weights[block.weight].constant
    file, offset = constant.place
    return file, offset + block.start * constant.row_bytes


def _blocks(layout: Layout) -> Iterator[_Block]:
    for index, weight in enumerate(layout.weights):
        shape = weight.constant.shape
        row = weight.encoding.nbytes(shape) // shape[0]
        step = max(1, BLOCK_VALUES // max(1, prod(shape[1:])))
        for start in range(0, shape[0], step):
            stop = min(start + step, shape[0])
            yield _Block(index, start, stop, weight.offset + start * row)


def _write_block(
    fd: int,
    base: int,
    weight: Placed,
    block: _Block,
    scales: NDArray[Any] | None,
    arrival: Arrival | None,
) -> int:
    constant, encoding = weight.constant, weight.encoding
    start, stop = block.start, block.stop
    values = constant.rows(start, stop)
    if arrival:
        for row in sorted({0, constant.shape[0] - 1}):
            if start <= row < stop:
                arrival.seen(weight, row, values[row - start : row - start + 1])
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
    pwrite_all(fd, data, base + block.offset)
    return data.nbytes


def _scale_shape(weight: Placed) -> tuple[int, ...]:
    rows, cols = weight.constant.shape
    block = weight.encoding.block
    return (rows, cols // block) if block else (rows,)


def pwrite_all(fd: int, data: bytes | NDArray[Any], offset: int) -> None:
    """Write all of `data` at `offset`: pwrite may write less than it is asked to.

    Raises:
        OSError: the disk is full, or accepts nothing more.
    """
    view = memoryview(data if isinstance(data, bytes) else np.ascontiguousarray(data).data)
    view = view.cast("B")
    while view:
        done = pwrite(fd, view, offset)
        if not done:
            raise OSError(f"nothing could be written at offset {offset:,}")
        view, offset = view[done:], offset + done
