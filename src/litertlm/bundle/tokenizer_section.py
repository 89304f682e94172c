"""The tokenizer section of a bundle.

A tokenizer.json is stored as its size, eight bytes little endian, and its zlib stream; a
SentencePiece model is stored as it is.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from litertlm.bundle_format.constants import HF_TOKENIZER, SENTENCEPIECE, TOKENIZER_NAMES
from litertlm.bundle_format.header import Header, damaged, read_section

_LEVEL = 5  # of zlib. Its usual 6 takes twice as long and makes Qwen3's tokenizer 2 % smaller.
_LARGEST_TOKENIZER = 256_000_000


def packed_tokenizer(kind: str, data: bytes) -> tuple[str, bytes]:
    """The section kind and bytes of a tokenizer, `huggingface` or `sentencepiece`."""
    if kind == "sentencepiece":
        return SENTENCEPIECE, data
    packed = zlib.compress(data, _LEVEL)
    return HF_TOKENIZER, len(data).to_bytes(8, "little") + packed


def read_tokenizer(path: Path, header: Header) -> tuple[str, bytes]:
    """The tokenizer of a bundle: `huggingface` or `sentencepiece`, and the file's bytes.

    Raises:
        DamagedBundle: there is none, or it cannot be decompressed.
    """
    for kind, name in TOKENIZER_NAMES.items():
        section = header.first(kind)
        if section is None:
            continue
        data = read_section(path, section)
        if kind == HF_TOKENIZER:
            stream = zlib.decompressobj()
            try:
                data = stream.decompress(data[8:], _LARGEST_TOKENIZER)
            except zlib.error as error:
                raise damaged(path, f"Its tokenizer cannot be decompressed: {error}.") from error
            if not stream.eof:
                raise damaged(path, "Its tokenizer is cut off or too large.")
        return name, data
    raise damaged(path, "It has no tokenizer.")
