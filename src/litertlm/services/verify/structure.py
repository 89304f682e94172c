"""Whether a bundle's file is complete and consistent."""

from __future__ import annotations

import mmap
from collections import Counter
from itertools import pairwise
from pathlib import Path

from litertlm.bundle.tflite_buffers import weight_ranges
from litertlm.bundle_format.constants import (
    LLM_METADATA,
    SECTION_ALIGNMENT,
    SECTION_TYPES,
    TFLITE_MODEL,
    TOKENIZER_NAMES,
)
from litertlm.bundle_format.header import Header, PlacedSection, read_header
from litertlm.errors import DamagedBundle
from litertlm.services.verify.report import Check, Verdict, judged
from litertlm.store.files import file_sha256


def check_structure(bundle: Path, *, sha256: str | None, size_bytes: int | None) -> Check:
    """Sections, offsets, and the hash.

    Args:
        sha256, size_bytes: what the provenance says, or None.
    """
    try:
        header = read_header(bundle)
    except DamagedBundle as error:
        return Check("structure", Verdict.FAILED, error.what, {}, (error.why,))
    problems = [*_sections(header), *_model(bundle, header)]
    size = bundle.stat().st_size
    if size_bytes is not None and size != size_bytes:
        problems.append(f"It has {size:,} bytes; {size_bytes:,} were written.")
    hashed = "no SHA-256 recorded" if sha256 is None else "SHA-256 not compared"
    if sha256 is not None and not problems:
        hashed = "SHA-256 matches"
        if file_sha256(bundle) != sha256:
            hashed = "SHA-256 differs"
            problems.append("Its SHA-256 differs from the one recorded when it was made.")
    return judged(
        "structure",
        problems,
        f"{len(header.sections)} sections, {size / 1e6:,.1f} MB, {hashed}",
        {
            "size_bytes": size,
            "sections": {s.kind: s.nbytes for s in header.sections},
            "sha256_compared": sha256 is not None,
        },
    )


def _sections(header: Header) -> list[str]:
    problems = []
    counts = Counter(section.kind for section in header.sections)
    if counts[LLM_METADATA] != 1:
        problems.append(f"There are {counts[LLM_METADATA]} LlmMetadata sections.")
    tokenizers = sum(counts[kind] for kind in TOKENIZER_NAMES)
    if tokenizers != 1:
        problems.append(f"There are {tokenizers} tokenizers.")
    end = 0
    for section in sorted(header.sections, key=lambda s: s.begin):
        if section.begin < end:
            problems.append(f"Section {section.kind} overlaps the one before it.")
        if section.begin % SECTION_ALIGNMENT:
            problems.append(f"Section {section.kind} begins at {section.begin:,}, not aligned.")
        if section.kind not in SECTION_TYPES:
            problems.append(f"Section {section.kind} is not one that is known.")
        if not section.nbytes:
            problems.append(f"Section {section.kind} is empty.")
        end = section.end
    return problems


def _model(bundle: Path, header: Header) -> list[str]:
    section = header.first(TFLITE_MODEL)
    if section is None:
        return ["There is no TFLite model."]
    with bundle.open("rb") as file:
        file.seek(section.begin + 4)
        if file.read(4) != b"TFL3":
            return ["The TFLite model does not begin like one."]
    return _buffers(bundle, section)


def _buffers(bundle: Path, section: PlacedSection) -> list[str]:
    """Whether the weights, which follow the flatbuffer, are inside of the section."""
    # A copy of the section would be as large as the model.
    with (
        bundle.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
        view[section.begin : section.end] as data,
    ):
        try:
            ranges = weight_ranges(data)
        except ValueError as error:
            return [f"The TFLite model cannot be read: {error}."]
    if any(end > section.nbytes for _, end in ranges):
        return ["Weights are beyond the end of the TFLite model."]
    if any(second[0] < first[1] for first, second in pairwise(ranges)):
        return ["Weights overlap each other."]
    return []
