"""Files that go to the model with a message: which ones, and which models take them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from litertlm.bundle_format.info import BundleInfo
from litertlm.errors import UnsupportedModel, UsageError
from litertlm.runtime.engine import Attachment
from litertlm.services.chat.render import is_base_model, template_source

LARGEST = 32_000_000
"""Bytes of a file; the runtime has several copies of it in memory."""

# How files begin that the runtime decodes, as regular expressions.
_SENT = {
    "image": rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|BM|GIF8[79]a",
    "audio": rb"RIFF....WAVE|fLaC|ID3|\xff[\xf2\xf3\xfa\xfb]",
}
# How some begin that are mistaken for them.
_OTHERS = {
    "a WebP image": rb"RIFF....WEBP",
    "a HEIC or AVIF image, or an MP4": rb"....ftyp",
    "a TIFF image": rb"II\*\0|MM\0\*",
    "an Ogg file": rb"OggS",
    "a PDF document": rb"%PDF",
}
_NAMES = {"image": "images", "audio": "audio"}


def read_attachment(path: Path) -> Attachment:
    """Read a file that shall go with a message.

    Raises:
        UsageError: there is none, it cannot be read, is too large, or of another kind.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", hint="Attach the files in it one by one.")
        if not path.exists():
            raise UsageError(f"No such file: {path}.")
        if not path.is_file():
            raise UsageError(f"{path} is not a regular file.")
        size = path.stat().st_size
        if size > LARGEST:
            raise UsageError(
                f"{path} is too large.",
                why=f"It has {size / 1e6:,.1f} MB; the maximum is {LARGEST / 1e6:,.0f} MB.",
                hint="Use a smaller image or a shorter recording.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {path}.", why=error.strerror or "") from error
    except ValueError as error:
        raise UsageError("Not a valid file name.", why=str(error)) from error
    kind = _begins(data, _SENT)
    if kind:
        return Attachment(kind, path, data)
    raise UsageError(
        f"Unsupported attachment: {path}.",
        why=f"{_looks(data)}. Supported are PNG, JPEG, BMP, GIF, WAV, FLAC and MP3.",
    )


def _looks(data: bytes) -> str:
    if not data:
        return "It is empty"
    found = _begins(data, _OTHERS)
    return f"It is {found}" if found else "It is not a known image or audio format"


def _begins(data: bytes, starts: Mapping[str, bytes]) -> str | None:
    """The first name whose start `data` has."""
    return next((name for name, start in starts.items() if re.match(start, data, re.S)), None)


def kinds_of(attachments: Iterable[Attachment]) -> frozenset[str]:
    """Their kinds, for `check_kinds` and the engine."""
    return frozenset(attachment.kind for attachment in attachments)


def kinds_taken(name: str, info: BundleInfo) -> list[str]:
    """The kinds of attachments that a bundle has encoders for, at least one.

    Raises:
        UnsupportedModel: it has none.
    """
    taken = [kind for kind, there in (("image", info.images), ("audio", info.audio)) if there]
    if not taken:
        raise UnsupportedModel(
            f"{name} does not support images or audio.",
            why="Its bundle has no vision or audio encoder.",
        )
    return taken


def check_kinds(name: str, info: BundleInfo, kinds: frozenset[str], *, raw: bool = False) -> None:
    """Refuse attachments for a model that cannot be sent them.

    Args:
        name: of the model.
        kinds: of the attachments.
        raw: whether texts go to it without a template.

    Raises:
        UnsupportedModel: names what the model supports.
        UsageError: `raw`.
    """
    if not kinds:
        return
    taken = kinds_taken(name, info)
    for kind in sorted(kinds.difference(taken)):
        (other,) = taken
        raise UnsupportedModel(
            f"{name} does not support {_NAMES[kind]}.",
            why=f"Its bundle has an encoder for {_NAMES[other]} only.",
        )
    if raw:
        raise UsageError(
            "--raw does not support attachments.",
            why="Without a chat template their position in the prompt is unknown.",
        )
    if is_base_model(info) or not template_source(info):
        raise UnsupportedModel(
            f"{name} does not support attachments.",
            why="Its bundle has an encoder, but no chat template with a position for them.",
        )
