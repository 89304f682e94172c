"""What `run` must know of a bundle before it loads it, read with the standard library alone.

A `.litertlm` file begins with `LITERTLM`, a version, and a flatbuffer (LiteRTLMMetaData, at byte
32) that lists the sections; one of them is the LlmMetadata protobuf message. Both schemas are in
google-ai-edge/LiteRT-LM (schema/core/litertlm_header_schema.fbs,
runtime/proto/llm_metadata.proto). Importing flatbuffers and protobuf would cost more time than
all that a short answer does in Python, and eight fields are needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from litertlm.errors import DamagedBundle, ModelNotFound

_MAGIC = b"LITERTLM"
_HEADER_START = 32
_LARGEST_HEADER = 16 << 20
_LARGEST_METADATA = 64 << 20

# AnySectionDataType
_TFLITE_MODEL = 3
_LLM_METADATA = 5
_EXECUTOR_METADATA = 9
# VData
_STRING_VALUE = 9
# LlmModelType
_MODEL_TYPES = {
    1: "generic_model",
    2: "gemma3n",
    3: "function_gemma",
    4: "gemma3",
    5: "qwen3",
    7: "qwen2p5",
    8: "gemma4",
    9: "fast_vlm",
    11: "lfm2",
    12: "minicpm5",
    13: "minicpmv4",
}
_HINT = "Delete the file and run again, or download it again."


@dataclass(frozen=True)
class SamplerDefaults:
    """Sampling parameters of a bundle.

    Attributes:
        greedy: always the most probable token, whatever the rest says.
        temperature, top_k, top_p: None where the bundle does not say.
    """

    greedy: bool
    temperature: float | None
    top_k: int | None
    top_p: float | None


@dataclass(frozen=True)
class BundleInfo:
    """A bundle's own account of itself.

    Attributes:
        context: default tokens of prompt and answers together, or None.
        longest_context: what the model was made for, or the length of a fixed cache, or None.
        template: chat template that the runtime renders, or None.
        properties: the system metadata's strings (`chat_template`, the checkpoint's own, is one).
        start_token_ids: what the runtime puts before the first text; empty for nothing.
        sampler: None where the bundle has none.
        model_type: name of the LlmModelType field.
        thinking, tools: what the bundle claims.
        channels: (start, end) texts around parts of an answer that are not for the user.
        affixes: role to (before, after), where there is no template but these.
        models: `model_type` items of the TFLite sections, such as `tf_lite_prefill_decode`.
    """

    context: int | None = None
    longest_context: int | None = None
    template: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    start_token_ids: tuple[int, ...] = ()
    sampler: SamplerDefaults | None = None
    model_type: str = "generic_model"
    thinking: bool = False
    tools: bool = False
    channels: tuple[tuple[str, str], ...] = ()
    affixes: dict[str, tuple[str, str]] = field(default_factory=dict)
    models: tuple[str, ...] = ()

    @property
    def images(self) -> bool:
        """Whether an image encoder is in the bundle."""
        return any("vision" in name for name in self.models)

    @property
    def audio(self) -> bool:
        """Whether an audio encoder is in the bundle."""
        return any("audio" in name for name in self.models)


def read_bundle_info(path: Path) -> BundleInfo:
    """Read a bundle's header and LlmMetadata.

    Raises:
        ModelNotFound: there is no such file.
        DamagedBundle: it is not a bundle, is cut off, or contradicts itself.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEADER_START)
            if not head.startswith(_MAGIC) or len(head) < _HEADER_START:
                raise _damaged(path, "it does not begin with LITERTLM")
            end = struct.unpack_from("<Q", head, 24)[0]
            if not _HEADER_START < end <= min(size, _LARGEST_HEADER):
                raise _damaged(path, f"its header ends at byte {end:,} of {size:,}")
            header = file.read(end - _HEADER_START)
            try:
                properties, sections = _parse_header(header)
            except (struct.error, LookupError, ValueError) as error:
                raise _damaged(path, f"its header cannot be read ({error})") from error
            metadata = {_LLM_METADATA: b"", _EXECUTOR_METADATA: b""}
            for section in sections:
                if not end <= section.begin <= section.end <= size:
                    raise _damaged(
                        path,
                        f"a section lies at bytes {section.begin:,} to {section.end:,}, "
                        f"the file has {size:,}",
                    )
                if section.kind in metadata:
                    length = section.end - section.begin
                    if length > _LARGEST_METADATA:
                        raise _damaged(path, f"its metadata section has {length:,} bytes")
                    file.seek(section.begin)
                    metadata[section.kind] = file.read(length)
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {path}.") from error
    models = tuple(
        section.items.get("model_type", "").lower()
        for section in sections
        if section.kind == _TFLITE_MODEL
    )
    if not any(section.kind == _LLM_METADATA for section in sections) or not models:
        raise _damaged(path, "it holds no language model")
    try:
        info = _parse_metadata(metadata[_LLM_METADATA], properties, models)
        return replace(info, longest_context=_longest(metadata[_EXECUTOR_METADATA]))
    except (struct.error, LookupError, ValueError) as error:
        raise _damaged(path, f"its metadata cannot be read ({error})") from error


def _damaged(path: Path, why: str) -> DamagedBundle:
    return DamagedBundle(f"{path} is damaged.", why=f"As a bundle, {why}.", hint=_HINT)


@dataclass(frozen=True)
class _Section:
    kind: int
    begin: int
    end: int
    items: dict[str, str]


def _parse_header(data: bytes) -> tuple[dict[str, str], list[_Section]]:
    root = _u32(data, 0)
    properties: dict[str, str] = {}
    system = _field(data, root, 0)
    if system:
        entries = _field(data, _follow(data, system), 0)
        properties = dict(_pairs(data, entries))
    sections = []
    listed = _field(data, root, 1)
    objects = _field(data, _follow(data, listed), 0) if listed else 0
    for table in _vector(data, objects):
        begin, end, kind = (_field(data, table, slot) for slot in (1, 2, 3))
        sections.append(
            _Section(
                kind=data[kind] if kind else 0,
                begin=struct.unpack_from("<Q", data, begin)[0] if begin else 0,
                end=struct.unpack_from("<Q", data, end)[0] if end else 0,
                items=dict(_pairs(data, _field(data, table, 0))),
            )
        )
    return properties, sections


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _follow(data: bytes, at: int) -> int:
    """Where the flatbuffer offset stored at `at` points."""
    return at + _u32(data, at)


def _field(data: bytes, table: int, slot: int) -> int:
    """Position of a table's field, or 0 where the table leaves it out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("a table lies before the file")
    length = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * slot
    if place >= length:
        return 0
    offset = struct.unpack_from("<H", data, vtable + place)[0]
    return table + offset if offset else 0


def _vector(data: bytes, at: int) -> Iterator[int]:
    """Positions of the tables in the vector that the field at `at` points to."""
    if at:
        start = _follow(data, at)
        for index in range(_u32(data, start)):
            yield _follow(data, start + 4 + 4 * index)


def _string(data: bytes, at: int) -> str:
    start = _follow(data, at)
    length = _u32(data, start)
    if start + 4 + length > len(data):
        raise ValueError("a string goes beyond the header")
    return data[start + 4 : start + 4 + length].decode()


def _pairs(data: bytes, at: int) -> Iterator[tuple[str, str]]:
    """The KeyValuePair entries whose values are strings."""
    for table in _vector(data, at):
        key, kind, value = (_field(data, table, slot) for slot in (0, 1, 2))
        if key and value and kind and data[kind] == _STRING_VALUE:
            text = _field(data, _follow(data, value), 0)
            yield _string(data, key), _string(data, text) if text else ""


def _parse_metadata(data: bytes, properties: dict[str, str], models: tuple[str, ...]) -> BundleInfo:
    info: dict[str, object] = {}
    channels = []
    for number, value in _message(data):
        if number == 1:
            info["start_token_ids"] = _token_ids(_bytes(value))
        elif number == 3:
            info["affixes"] = _affixes(_bytes(value))
        elif number == 4:
            info["sampler"] = _sampler(_bytes(value))
        elif number == 5:
            info["context"] = _int(value) or None
        elif number == 6:
            kinds = [
                _MODEL_TYPES[kind] for kind, _ in _message(_bytes(value)) if kind in _MODEL_TYPES
            ]
            info["model_type"] = kinds[0] if kinds else "generic_model"
        elif number == 7:
            info["template"] = _bytes(value).decode() or None
        elif number == 8:
            parts = {
                key: _bytes(part).decode() for key, part in _message(_bytes(value)) if key <= 3
            }
            channels.append((parts.get(2, ""), parts.get(3, "")))
        elif number == 11:
            info["thinking"] = bool(value)
        elif number == 12:
            info["tools"] = bool(value)
    return BundleInfo(properties=properties, models=models, channels=tuple(channels), **info)  # type: ignore[arg-type]


def _message(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protobuf message: (number, integer or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        length, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + length > len(data):
            raise ValueError("a field goes beyond the message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("an integer stands for a message")
    return value


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a message stands for an integer")
    return value


def _token_ids(union: bytes) -> tuple[int, ...]:
    """Ids of a TokenUnion; a token given as text has none here."""
    ids: list[int] = []
    for number, value in _message(union):
        if number == 1:
            for _, entry in _message(_bytes(value)):
                if isinstance(entry, int):
                    ids.append(entry)
                else:
                    at = 0
                    while at < len(entry):
                        token, at = _varint(entry, at)
                        ids.append(token)
    return tuple(ids)


def _longest(message: bytes) -> int | None:
    """LlmExecutorMetadata.max_history_size in an ExecutorMetadata."""
    for number, value in _message(message):
        if number == 1:
            return next((_int(size) for key, size in _message(_bytes(value)) if key == 1), None)
    return None


def _affixes(message: bytes) -> dict[str, tuple[str, str]]:
    """PromptTemplates: what stands before and after a message of each role."""
    roles = {1: "user", 2: "assistant", 3: "system"}
    found = {}
    for number, value in _message(message):
        parts = {key: _bytes(part).decode() for key, part in _message(_bytes(value))}
        if number in roles:
            found[roles[number]] = (parts.get(1, ""), parts.get(2, ""))
    return found


def _sampler(message: bytes) -> SamplerDefaults:
    found = dict(_message(message))
    top_k, top_p, temperature = (found.get(number) for number in (2, 3, 4))
    return SamplerDefaults(
        greedy=found.get(1) == 3,
        temperature=struct.unpack("<f", temperature)[0] if isinstance(temperature, bytes) else None,
        top_k=top_k if isinstance(top_k, int) and top_k > 0 else None,
        top_p=struct.unpack("<f", top_p)[0] if isinstance(top_p, bytes) else None,
    )
