"""The runtime itself renders the bytes of transformers' apply_chat_template, and chats on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import litert_lm
import pytest

from fidelity.cases import (
    GOLDENS,
    SPECIAL_TOKENS,
    conversations,
    digest,
    template_names,
    template_text,
)
from litertlm.bundle.adapted_template import SourceTemplate
from litertlm.bundle.template_adapter import adapt
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from recorder import Recorder
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS


class Schema(litert_lm.Tool):
    """A tool by its schema alone."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    def get_tool_description(self) -> dict[str, Any]:
        return dict(self._schema)

    def execute(self, param: Mapping[str, Any]) -> str:
        raise NotImplementedError


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[litert_lm.Engine]:
    folder = tmp_path_factory.mktemp("templates")
    write_checkpoint(MODELS["qwen3-gqa-tied"], folder / "checkpoint")
    bundle = folder / "tiny.litertlm"
    convert(folder / "checkpoint", bundle, ConvertOptions(recipe="none"), progress=Recorder())
    with litert_lm.Engine(str(bundle), litert_lm.Backend.CPU(), cache_dir=str(folder)) as engine:
        yield engine


def bundle_template(name: str) -> tuple[str, str]:
    """A template with its clock stopped, and the BOS that the runtime puts before its text."""
    found = adapt(SourceTemplate.of(template_text(name), SPECIAL_TOKENS.get(name, {})))
    source = found.source
    for form in ("%d %b %Y", "%d %B %Y", "%B %d, %Y"):
        day = datetime(2025, 3, 9).strftime(form)
        source = source.replace(f'strftime_now("{form}")', json.dumps(day))
    return source, SPECIAL_TOKENS[name]["bos_token"] if found.renders_bos else ""


@pytest.mark.parametrize("name", template_names())
def test_prompts_are_those_of_transformers(name: str, engine: litert_lm.Engine) -> None:
    source, bos = bundle_template(name)
    has_tools = adapt(
        SourceTemplate.of(template_text(name), SPECIAL_TOKENS.get(name, {}))
    ).supports_tools
    goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))[name]
    compared = 0
    for chat, (golden, _) in zip(conversations(), goldens, strict=True):
        *history, last = (dict(message) for message in chat.messages)
        if golden == "refused" or (chat.tools and not has_tools):
            continue
        with engine.create_conversation(
            chat_template=source,
            messages=history or None,
            tools=[Schema(tool) for tool in chat.tools or ()] or None,
            extra_context=dict(chat.arguments) or None,
        ) as conversation:
            message = last if last["role"] == "tool" else last["content"]
            text = conversation.render_message_to_string(message)
        assert digest(bos + text) == golden, chat
        compared += 1
    assert compared >= 50


@pytest.mark.parametrize("enable_thinking", [True, False, None])
@pytest.mark.parametrize("name", template_names())
def test_three_turns(name: str, enable_thinking: bool | None, engine: litert_lm.Engine) -> None:
    """The runtime refuses a turn whose text does not start with the text of the turn before."""
    source, _ = bundle_template(name)
    thinking = (
        None
        if enable_thinking is None
        else litert_lm.ThinkingConfig(enable_thinking=enable_thinking)
    )
    with engine.create_conversation(
        chat_template=source,
        system_message="Be brief.",
        thinking_config=thinking,
        max_output_tokens=8,
    ) as conversation:
        for question in ("One?", "Two?", "Three?"):
            text = conversation.render_message_to_string(question)
            assert question in text
            conversation.send_message(question)
            assert conversation.token_count > 0
