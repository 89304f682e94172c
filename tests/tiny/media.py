"""Small images of one colour and short tones, in the formats that can be attached."""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode

RED, BLUE = (255, 0, 0), (0, 0, 255)

# 16 by 16 pixels of about RED, and of RED, as Pillow 12 writes them.
RED_JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4"
    "UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj"
    "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAX/xAAU"
    "EAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAABQb/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMB"
    "AAIRAxEAPwCKALXj/9k="
)
RED_GIF = b64decode(
    "R0lGODdhEAAQAIEAAP8AAAAAAAAAAAAAACwAAAAAEAAQAEAIHQABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFgQEBADs="
)

# 0.2 seconds of `tone`, as libsndfile 1.2 writes them.
TONE_FLAC = b64decode(
    "ZkxhQwAAACIQABAAAAHKAAHKA+gA8AAADIAs7bin3BPXSNLfakckaSuJhAAAKCAAAAByZWZlcmVuY2UgbGliRkxBQyAxLj"
    "QuMyAyMDIzMDYyMwAAAAD/+HUIAAx/cRMABQA/////j/////D/////H////+H////+P////8P////8f////4f////4////"
    "/w/////x/////h/////j/////D/////H////+H////+P////8P////8f////4f////4/////w/////x/////h/////j///"
    "//D/////H////+H////+P////8P////8f////4f////4/////w/////x/////h/////j/////D/////H////+H////+P//"
    "//8P////8f////4f////4/////w/////x/////h/////j/////D/////H////+H////+P////8P////8f////4f////4//"
    "///w/////x/////h/////j/////D/////H////+H////+P////8P////8f////4f////4/////w/////x/////h/////j/"
    "////D/////H////+H////+P////8P////8f////4f////4/////w/////x/////h/////j/////D/////H////+H////+P"
    "////8P////8f////4f////4/////w/////x/////h/////j/////D/////H////+D2yQ=="
)
TONE_MP3 = b64decode(
    "//MYxAAFGC7yUUMYAAABaABgDu7u76AYGD8H9tQPv/h9Kvxg//MYxAIE4DMYAYUQAGjA0YG+xUjTTkanyOnTp09+mgyDh3"
    "+C//MYxAUGSU8MWccoAISf//lAZ//+MH//+MH//+MFn/qN1f8I//MYxAIEyUr0AGgFQII///kQ///5Uf/BD//+Cf/Iqv8I"
    "8Jr+//MYxAUGEZLcAJAaaBoHX//xcI///jMW//+RC3//yotqIT+Y//MYxAMFwUr4KU0QAAYCkt//6iIK//8E///gn//8E/"
    "+RzCuC//MYxAMFUKsEAYcQAIDQiG3r8Fm4/N/oPLHvI/6f+mo4BAIK//MYxAQE8EIkAcYAAdNIkUXIkZokklChvxXAvjZM"
    "QU1Fqqqq"
)


def png(color: tuple[int, int, int], side: int = 16) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = (b"\0" + bytes(color) * side) * side
    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def bmp(color: tuple[int, int, int], side: int = 16) -> bytes:
    """A BMP of one colour; `side` is a multiple of 4."""
    size = side * side * 3
    head = struct.pack("<2sIHHI", b"BM", 54 + size, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, size, 2835, 2835, 0, 0)
    return head + info + bytes(reversed(color)) * (side * side)


def tone(half: int = 32, frames: int = 3200) -> bytes:
    """A WAV of a square wave at 16 kHz.

    Args:
        half: frames of half a period.
        frames: in all.
    """
    samples = [-16384 if at // half % 2 else 16384 for at in range(frames)]
    data = struct.pack(f"<{frames}h", *samples)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    return head + form + struct.pack("<4sI", b"data", len(data)) + data
