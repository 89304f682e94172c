"""A bundle as a list of sections: planned first, then written from its beginning to its end.

A section is bytes, or a TFLite file (a `Layout`) whose weights are streamed into place.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from litertlm.bundle import container
from litertlm.bundle_format.constants import TFLITE_MODEL
from litertlm.bundle_format.header import PlacedSection
from litertlm.graph import Constant
from litertlm.tflite import Arrival, Layout, Placed, pwrite_all
from litertlm.tflite import write as write_tflite

PREFILL_DECODE = "tf_lite_prefill_decode"


@dataclass(frozen=True)
class Section:
    """A section of a bundle before it has a place.

    Attributes:
        kind: a name of the container's schema (`TFLITE_MODEL`, ...).
        payload: its bytes, or the plan of a TFLite file.
        items: its own metadata.
    """

    kind: str
    payload: bytes | Layout
    items: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.payload.nbytes if isinstance(self.payload, Layout) else len(self.payload)


def tflite_section(model_type: str, layout: Layout) -> Section:
    """The section of a model; `model_type` is the runtime's name for its role."""
    return Section(TFLITE_MODEL, layout, {"model_type": model_type})


@dataclass(frozen=True)
class BundleLayout:
    """A bundle whose sections have their offsets.

    Attributes:
        sections, payloads: in file order, one payload for each section.
        system: the file's own metadata.
    """

    sections: tuple[PlacedSection, ...]
    payloads: tuple[bytes | Layout, ...]
    system: Mapping[str, str]

    @property
    def nbytes(self) -> int:
        """Size of the bundle."""
        return self.sections[-1].end

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The TFLite files, in file order."""
        return tuple(p for p in self.payloads if isinstance(p, Layout))

    @property
    def weights_nbytes(self) -> int:
        """Bytes of all weights as they are stored, without scales."""
        return sum(
            weight.encoding.nbytes(weight.constant.shape)
            for layout in self.layouts
            for weight in layout.weights
        )

    @property
    def stored(self) -> dict[str, bytes]:
        """The sections that are bytes, by kind."""
        parts = zip(self.sections, self.payloads, strict=True)
        return {section.kind: data for section, data in parts if isinstance(data, bytes)}


class ArrivingWeights(Protocol):
    """The files that weights are read from while they are downloaded; see `tflite.Arrival`."""

    def passed(self, place: tuple[str, int]) -> None: ...
    def cancel(self) -> None: ...


def place(sections: Sequence[Section], system: Mapping[str, str]) -> BundleLayout:
    """Give every section its offset; values of `system` must have their final lengths."""
    sized = [container.Section(s.kind, s.nbytes, s.items) for s in sections]
    payloads = tuple(s.payload for s in sections)
    return BundleLayout(container.place(sized, system), payloads, system)


def write(
    fd: int,
    bundle: BundleLayout,
    *,
    threads: int,
    advance: Callable[[int], None] = lambda nbytes: None,
    final: Callable[[int], None] = lambda end: None,
    arriving: ArrivingWeights | None = None,
) -> None:
    """Write a bundle to the open and empty file `fd`. Its `uuid`, if it has one, is replaced by
    the name of its contents.

    Args:
        threads, advance, final: see `tflite.write`.
        arriving: for weights that are still downloaded. The header is written last then, since
            the rows that the uuid needs are not there before.

    Raises:
        ConversionFailed: a weight cannot be encoded.
        OSError: the disk is full, or the checkpoint cannot be read.
    """
    os.ftruncate(fd, bundle.nbytes)
    parts = list(zip(bundle.sections, bundle.payloads, strict=True))
    # Everything that is known goes first: nothing before the first weights changes afterwards.
    for section, payload in parts:
        if isinstance(payload, bytes):
            pwrite_all(fd, payload, section.begin)
    rows: dict[tuple[Constant, int], bytes] = {}
    arrival = None
    if arriving is None:
        _write_header(fd, bundle, _read_row)
    else:

        def seen(weight: Placed, row: int, values: NDArray[Any]) -> None:
            rows[weight.constant, row] = values.tobytes()

        arrival = Arrival(seen, arriving.passed, arriving.cancel)
    for section, payload in parts:
        if isinstance(payload, Layout):
            write_tflite(
                fd,
                section.begin,
                payload,
                threads=threads,
                advance=advance,
                final=final if arriving is None else _ignore,
                arrival=arrival,
            )
    if arriving is not None:
        _write_header(fd, bundle, lambda constant, row: rows[constant, row])


def _ignore(end: int) -> None:
    """Nothing is final before the header is written."""


def _write_header(fd: int, bundle: BundleLayout, row_of: Callable[[Constant, int], bytes]) -> None:
    system = dict(bundle.system)
    if "uuid" in system:
        system["uuid"] = contents_uuid(bundle, row_of)
    pwrite_all(fd, container.encode_header(bundle.sections, system), 0)


def _read_row(constant: Constant, row: int) -> bytes:
    return constant.rows(row, row + 1).tobytes()


def contents_uuid(
    bundle: BundleLayout, row_of: Callable[[Constant, int], bytes] = _read_row
) -> str:
    """A name for the contents: from the metadata, the graphs, and the first and the last row of
    every weight. It stands at the file's beginning, which is final before the rest is written.

    Args:
        row_of: the values of a row as float32.
    """
    digest = hashlib.sha256()
    for payload in bundle.payloads:
        if isinstance(payload, bytes):
            digest.update(payload)
    for layout in bundle.layouts:
        digest.update(layout.flatbuffer)
        for weight in layout.weights:
            rows = weight.constant.shape[0]
            for row in sorted({0, rows - 1}):
                digest.update(row_of(weight.constant, row))
    return str(uuid.UUID(bytes=digest.digest()[:16], version=4))
