"""Rewrite a bundle with other sections and metadata; the model is copied unchanged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from litertlm.bundle import container
from litertlm.bundle.container import Section
from litertlm.bundle_format.constants import TOKENIZER_NAMES
from litertlm.bundle_format.header import read_header

_BLOCK = 1 << 24


def rewrite(
    source: Path, target: Path, contents: Mapping[str, bytes], system: Mapping[str, str]
) -> None:
    """Copy the bundle `source` to `target` with some sections replaced.

    Args:
        source: a `.litertlm` file.
        target: the new file; not `source`.
        contents: new contents of sections, by kind. A tokenizer of one kind replaces one of the
            other kind.
        system: the new system metadata.

    Raises:
        DamagedBundle: `source` cannot be read.
        OSError: the file cannot be written.
    """
    header = read_header(source)
    tokenizers = set(TOKENIZER_NAMES)
    new_tokenizer = next((kind for kind in contents if kind in tokenizers), None)
    kinds = [
        new_tokenizer if new_tokenizer and section.kind in tokenizers else section.kind
        for section in header.sections
    ]
    sections = [
        Section(kind, len(contents[kind]) if kind in contents else old.nbytes, old.items)
        for kind, old in zip(kinds, header.sections, strict=True)
    ]
    placed = container.place(sections, system)
    with source.open("rb") as old_file, target.open("wb") as new_file:
        new_file.truncate(placed[-1].end)
        new_file.write(container.encode_header(placed, system))
        for new, old in zip(placed, header.sections, strict=True):
            new_file.seek(new.begin)
            if new.kind in contents:
                new_file.write(contents[new.kind])
                continue
            old_file.seek(old.begin)
            left = old.nbytes
            while left:
                block = old_file.read(min(left, _BLOCK))
                new_file.write(block)
                left -= len(block)
        new_file.flush()
        os.fsync(new_file.fileno())
