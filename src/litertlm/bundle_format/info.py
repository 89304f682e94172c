"""The contents of a bundle's header, LlmMetadata and ExecutorMetadata.

Schemas: google-ai-edge/LiteRT-LM, runtime/proto/llm_metadata.proto, executor_metadata.proto,
sampler_params.proto and token.proto; the numbers below are those of their fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litertlm.bundle_format.constants import (
    EXECUTOR_METADATA,
    LLM_METADATA,
    MODEL_TYPES,
    TFLITE_MODEL,
    TOKENIZER_NAMES,
)
from litertlm.bundle_format.header import Header, damaged, read_header, read_section
from litertlm.bundle_format.protobuf import (
    as_bytes,
    as_float,
    as_int32,
    as_int32_list,
    as_text,
    read_fields,
)
from litertlm.errors import DamagedBundle
from litertlm.text import is_utf8

_VARIABLES = "template_variables"
_LARGEST_METADATA = 64 << 20
_SAMPLER_TYPES = {0: "type_unspecified", 1: "top_k", 2: "top_p", 3: "greedy"}
# StateBuffer.Type: the caches of all tokens.
_GLOBAL_KEYS, _GLOBAL_VALUES = 1, 2
_ROLES = {1: "user", 2: "assistant", 3: "system"}


@dataclass(frozen=True)
class SamplerDefaults:
    """Sampling parameters of a bundle; None where the bundle has no value.

    Attributes:
        type: `top_k`, `top_p`, `greedy` or `type_unspecified`.
    """

    type: str = "type_unspecified"
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is always taken, whatever the other values are."""
        return self.type == "greedy"


@dataclass(frozen=True)
class BundleInfo:
    """The header and the metadata of a bundle.

    Attributes:
        header: sections and system metadata.
        context: default tokens of prompt and answers together, or None.
        longest_context: the model's maximum, or the length of a fixed cache, or None.
        template: chat template that the runtime renders, or None.
        start_tokens: ids, or texts, that the runtime puts before the first text.
        stop_tokens: ids, or texts; a tuple of ids where a stop is a sequence of tokens.
        suppressed_tokens: ids of tokens that are never chosen.
        sampler: None where the bundle has none.
        model_type: name of the LlmModelType field.
        thinking, tools: whether the bundle claims to support them.
        channels: name to the (start, end) texts around a part of an answer that is not for the
            user.
        affixes: role to (before, after), in bundles without a template.
        rewindable: whether the states of a session can go back to an earlier token. They can where
            all are caches of keys and values of every token; a recurrent state cannot.
    """

    header: Header = field(default_factory=Header)
    context: int | None = None
    longest_context: int | None = None
    template: str | None = None
    start_tokens: tuple[int | str, ...] = ()
    stop_tokens: tuple[int | str | tuple[int, ...], ...] = ()
    suppressed_tokens: tuple[int, ...] = ()
    sampler: SamplerDefaults | None = None
    model_type: str = "generic_model"
    thinking: bool = False
    tools: bool = False
    channels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    affixes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rewindable: bool = True

    @property
    def properties(self) -> dict[str, str]:
        """The texts of the system metadata (`chat_template`, the checkpoint's own, is one)."""
        return {key: text for key, text in self.header.system.items() if isinstance(text, str)}

    @property
    def start_token_ids(self) -> tuple[int, ...]:
        """The start tokens that are given as ids."""
        return tuple(token for token in self.start_tokens if isinstance(token, int))

    @property
    def tokenizer(self) -> str:
        """`huggingface`, `sentencepiece` or `none`."""
        kinds = {section.kind for section in self.header.sections}
        return next((name for kind, name in TOKENIZER_NAMES.items() if kind in kinds), "none")

    @property
    def models(self) -> tuple[str, ...]:
        """`model_type` items of the TFLite sections, such as `tf_lite_prefill_decode`."""
        return tuple(
            str(section.items.get("model_type", "")).lower()
            for section in self.header.sections
            if section.kind == TFLITE_MODEL
        )

    @property
    def images(self) -> bool:
        """Whether an image encoder is in the bundle."""
        return any("vision" in name for name in self.models)

    @property
    def audio(self) -> bool:
        """Whether an audio encoder is in the bundle."""
        return any("audio" in name for name in self.models)


def read_bundle_info(path: Path) -> BundleInfo:
    """Read a bundle's header and metadata.

    Raises:
        ModelNotFound: no such file.
        DamagedBundle: it is not a bundle of a language model, is cut off, or contradicts itself.
    """
    header = read_header(path)
    if header.first(LLM_METADATA) is None:
        raise damaged(path, "It has no LlmMetadata section: it is not a language model.")
    if header.first(TFLITE_MODEL) is None:
        raise damaged(path, "It has no TFLite model.")
    parsed: dict[str, Any] = {}
    for kind, parse in ((LLM_METADATA, _llm_metadata), (EXECUTOR_METADATA, _executor_metadata)):
        section = header.first(kind)
        if section is None:
            continue
        if section.nbytes > _LARGEST_METADATA:
            raise damaged(path, f"Its section {kind} has {section.nbytes:,} bytes.")
        try:
            parsed |= parse(read_section(path, section))
        except ValueError as error:
            raise damaged(path, f"Its section {kind} cannot be read: {error}.") from error
    return BundleInfo(header, **parsed)


def template_variables(info: BundleInfo) -> dict[str, str]:
    """The special tokens that the checkpoint's chat template reads, by name.

    Raises:
        DamagedBundle: they are not an object of texts.
    """
    try:
        variables = json.loads(info.properties.get(_VARIABLES, "{}"))
    except (ValueError, RecursionError):
        variables = None
    if not isinstance(variables, dict) or not all(
        isinstance(value, str) and is_utf8(value) for value in variables.values()
    ):
        raise DamagedBundle(
            "The bundle is damaged: its template variables cannot be read.",
            why=f"{_VARIABLES} in its metadata must be a JSON object of texts.",
            hint="Delete the file and run again, or download it again.",
        )
    return variables


def _llm_metadata(message: bytes) -> dict[str, Any]:
    info: dict[str, Any] = {}
    stop_tokens: list[int | str | tuple[int, ...]] = []
    channels: dict[str, tuple[str, str]] = {}
    for number, value in read_fields(message):
        if number == 1:
            info["start_tokens"] = _tokens(as_bytes(value))
        elif number == 2:
            stop_tokens.append(_stop_token(as_bytes(value)))
        elif number == 3:
            info["affixes"] = _affixes(as_bytes(value))
        elif number == 4:
            info["sampler"] = _sampler(as_bytes(value))
        elif number == 5:
            info["context"] = as_int32(value) or None
        elif number == 6:
            known = (MODEL_TYPES.get(kind) for kind, _ in read_fields(as_bytes(value)))
            info["model_type"] = next(filter(None, known), "generic_model")
        elif number == 7:
            info["template"] = as_text(value) or None
        elif number == 8:
            parts = _texts(as_bytes(value), 3)
            channels[parts.get(1, "")] = (parts.get(2, ""), parts.get(3, ""))
        elif number == 9:
            info["suppressed_tokens"] = _ids(as_bytes(value))
        elif number == 11:
            info["thinking"] = bool(value)
        elif number == 12:
            info["tools"] = bool(value)
    return {**info, "stop_tokens": tuple(stop_tokens), "channels": channels}


def _texts(message: bytes, last: int) -> dict[int, str]:
    """The fields 1 to `last` of a message, which are strings."""
    return {n: as_text(value) for n, value in read_fields(message) if 1 <= n <= last}


def _tokens(union: bytes) -> tuple[int | str, ...]:
    """A TokenUnion: ids, or one text."""
    tokens: list[int | str] = []
    for number, value in read_fields(union):
        if number == 1:
            tokens += _ids(as_bytes(value))
        elif number == 2:
            tokens.append(as_text(value))
    return tuple(tokens)


def _ids(message: bytes) -> tuple[int, ...]:
    """TokenIds."""
    return tuple(
        one for number, ids in read_fields(message) if number == 1 for one in as_int32_list(ids)
    )


def _stop_token(union: bytes) -> int | str | tuple[int, ...]:
    tokens = _tokens(union)
    if len(tokens) == 1:
        return tokens[0]
    return tuple(token for token in tokens if isinstance(token, int))


def _affixes(message: bytes) -> dict[str, tuple[str, str]]:
    """PromptTemplates: the texts before and after a message of each role."""
    affixes = {}
    for number, value in read_fields(message):
        if number in _ROLES:
            parts = _texts(as_bytes(value), 2)
            affixes[_ROLES[number]] = (parts.get(1, ""), parts.get(2, ""))
    return affixes


def _sampler(message: bytes) -> SamplerDefaults:
    fields = dict(read_fields(message))
    kind = as_int32(fields.get(1, 0))
    return SamplerDefaults(
        type=_SAMPLER_TYPES.get(kind, f"unknown type {kind}"),
        temperature=as_float(fields[4]) if 4 in fields else None,
        top_k=max(0, as_int32(fields.get(2, 0))) or None,
        top_p=as_float(fields[3]) if 3 in fields else None,
    )


def _executor_metadata(message: bytes) -> dict[str, Any]:
    for number, value in read_fields(message):
        if number == 1:  # LlmExecutorMetadata
            executor = list(read_fields(as_bytes(value)))
            sizes = [as_int32(size) for key, size in executor if key == 1]  # max_history_size
            buffers = [as_bytes(buffer) for key, buffer in executor if key == 2]
            found: dict[str, Any] = {"rewindable": all(map(_of_all_tokens, buffers))}
            return {**found, "longest_context": sizes[0]} if sizes else found
    return {}


def _of_all_tokens(buffer: bytes) -> bool:
    """Whether a StateBuffer keeps the keys or values of all tokens."""
    kinds = [as_int32(kind) for number, kind in read_fields(buffer) if number == 6]
    return kinds in ([], [_GLOBAL_KEYS], [_GLOBAL_VALUES])
