"""What any `.litertlm` file says about itself, ours or not."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from litert_lm_builder.runtime.proto import llm_metadata_pb2, sampler_params_pb2

from litertlm.bundle import container
from litertlm.bundle.container import Header
from litertlm.errors import DamagedBundle


@dataclass(frozen=True)
class StoredPrompts:
    """The LlmMetadata section.

    Attributes:
        template: the Jinja text that the runtime renders, or None.
        start_tokens: ids, or the text of one, that the runtime puts first.
        stop_tokens: ids, or texts; a list of ids where a stop is a sequence of tokens.
        context: default length of the context in tokens, or None.
        sampler: `type`, `top_k`, `top_p`, `temperature`.
        model_type: the field of LlmModelType that is set.
        thinking, tools: what the bundle claims.
        channels: name to the texts around that part of an answer.
    """

    template: str | None
    start_tokens: tuple[int | str, ...]
    stop_tokens: tuple[int | str | tuple[int, ...], ...]
    context: int | None
    sampler: Mapping[str, Any]
    model_type: str
    thinking: bool
    tools: bool
    channels: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class BundleFacts:
    """A bundle's header, metadata and kind of tokenizer."""

    header: Header
    prompts: StoredPrompts
    tokenizer: str


def read_bundle(path: Path) -> BundleFacts:
    """Read a bundle's header and metadata.

    Raises:
        DamagedBundle: it is not a bundle of a language model, or not whole.
    """
    header = container.read_header(path)
    section = header.first(container.LLM_METADATA)
    if section is None:
        raise DamagedBundle(f"{path} has no LlmMetadata section.", hint=_HINT)
    message = llm_metadata_pb2.LlmMetadata()
    try:
        message.ParseFromString(container.read_section(path, section))
    except DecodeError as error:
        raise DamagedBundle(
            f"{path} is damaged.", why=f"Its LlmMetadata cannot be read: {error}.", hint=_HINT
        ) from error
    kinds = {section.kind for section in header.sections}
    tokenizer = next((name for kind, name in _TOKENIZERS.items() if kind in kinds), "none")
    return BundleFacts(header, _prompts(message), tokenizer)


def read_tokenizer(path: Path, header: Header) -> tuple[str, bytes]:
    """The tokenizer of a bundle: `huggingface` or `sentencepiece`, and the file's bytes.

    Raises:
        DamagedBundle: there is none, or it cannot be unpacked.
    """
    for kind, name in _TOKENIZERS.items():
        section = header.first(kind)
        if section is None:
            continue
        data = container.read_section(path, section)
        if kind == container.HF_TOKENIZER:
            try:
                data = zlib.decompress(data[8:])
            except zlib.error as error:
                why = f"Its tokenizer cannot be unpacked: {error}."
                raise DamagedBundle(f"{path} is damaged.", why=why, hint=_HINT) from error
        return name, data
    raise DamagedBundle(f"{path} has no tokenizer.", hint=_HINT)


_HINT = "Delete it and make it, or download it, again."
_TOKENIZERS = {container.HF_TOKENIZER: "huggingface", container.SENTENCEPIECE: "sentencepiece"}


def _prompts(message: Any) -> StoredPrompts:
    sampler = message.sampler_params
    types = sampler_params_pb2.SamplerParameters.Type
    model_type = message.llm_model_type.ListFields()
    return StoredPrompts(
        template=message.jinja_prompt_template or None,
        start_tokens=tuple(_token(message.start_token)) if message.HasField("start_token") else (),
        stop_tokens=tuple(_stop(token) for token in message.stop_tokens),
        context=message.max_num_tokens or None,
        sampler={
            "type": types.Name(sampler.type).lower(),
            "top_k": sampler.k,
            "top_p": round(sampler.p, 6),
            "temperature": round(sampler.temperature, 6),
        },
        model_type=model_type[0][0].name if model_type else "generic_model",
        thinking=message.supports_thinking,
        tools=message.supports_function_calling,
        channels={c.channel_name: (c.start, c.end) for c in message.channels},
    )


def _token(token: Any) -> list[int | str]:
    return [token.token_str] if token.HasField("token_str") else list(token.token_ids.ids)


def _stop(token: Any) -> int | str | tuple[int, ...]:
    if token.HasField("token_str"):
        return str(token.token_str)
    ids = tuple(int(one) for one in token.token_ids.ids)
    return ids[0] if len(ids) == 1 else ids
