"""Chat templates in the runtime's engine give the bytes of transformers' apply_chat_template."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from fidelity.cases import (
    GOLDENS,
    SPECIAL_TOKENS,
    conversations,
    digest,
    template_names,
    template_text,
)
from litertlm.bundle import hf_template as chat_template
from litertlm.bundle import template_adapter as template
from litertlm.bundle.adapted_template import NO_TEMPLATE, AdaptedTemplate, SourceTemplate
from litertlm.bundle.probe_conversations import (
    ANSWER,
    THOUGHT,
    TOOLS,
    Conversation,
    assistant,
    system,
    thinking,
    user,
)
from litertlm.bundle.runtime_jinja import compile_for_runtime, runtime_variables
from litertlm.bundle.special_tokens import template_variables
from litertlm.bundle.template_adapter import adapt
from litertlm.errors import TemplateError

NAMES = template_names()
DAY = datetime(2025, 3, 9, 12, 30)


def adapted(name: str) -> AdaptedTemplate:
    return adapt(SourceTemplate.of(template_text(name), SPECIAL_TOKENS.get(name, {})))


def runtime(source: str) -> Callable[..., str]:
    """Renders as the runtime does: contents arrive as lists of parts."""
    compiled = compile_for_runtime(source, lambda: DAY)

    def render(chat: Conversation, prompt: bool = True) -> str:
        return compiled(
            runtime_variables(
                chat.messages, chat.tools, chat.arguments, add_generation_prompt=prompt
            )
        )

    return render


@pytest.mark.parametrize("name", NAMES)
def test_prompts_are_those_of_transformers(name: str) -> None:
    goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))[name]
    found = adapted(name)
    render = runtime(found.source)
    bos = SPECIAL_TOKENS[name]["bos_token"] if found.renders_bos else ""
    compared = 0
    for chat, (with_prompt, _) in zip(conversations(), goldens, strict=True):
        if with_prompt != "refused" and (found.supports_tools or chat.tools is None):
            assert digest(bos + render(chat)) == with_prompt, chat
            compared += 1
    assert compared >= 50
    assert found.kind in ("original", "adapted")


@pytest.mark.parametrize("name", NAMES)
def test_the_exact_renderer_gives_the_bytes_of_transformers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))[name]
    variables = template_variables(SPECIAL_TOKENS.get(name, {}))
    for chat, wanted in zip(conversations(), goldens, strict=True):
        for prompt, golden in zip((True, False), wanted, strict=True):
            try:
                text: str | None = chat_template.render(
                    template_text(name),
                    chat.messages,
                    variables,
                    tools=chat.tools,
                    add_generation_prompt=prompt,
                    strftime_now=DAY.strftime,
                    **chat.arguments,
                )
            except TemplateError:
                text = None
            assert digest(text) == golden, (chat, prompt)


@pytest.mark.parametrize("name", NAMES)
def test_three_turns_reach_the_model_without_a_gap(name: str) -> None:
    """What the runtime feeds at each turn, and the answers, add up to the exact history.

    The runtime feeds the text of the history with the new message, less the text of the history
    without it; the model itself adds its answers and their end-of-turn tokens.
    """
    found = adapted(name)
    assert found.end_of_turn is not None
    render = runtime(found.source)
    history: list[Any] = []
    seen = ""
    for question, answer in (("One?", ANSWER), ("Two?", "It is 43."), ("Three?", "44")):
        before = render(Conversation(history), False) if history else ""
        history.append(user(question))
        text = render(Conversation(history))
        assert text.startswith(before)
        seen += text[len(before) :]
        if name != "mistral":  # it moves spaces around an answer
            assert seen == text
        history.append(assistant(answer))
        seen += answer + found.end_of_turn


@pytest.mark.parametrize("enable_thinking", [True, False, None])
@pytest.mark.parametrize("with_system", [True, False])
def test_qwen3_thinks_in_three_turns(enable_thinking: bool | None, with_system: bool) -> None:
    render = runtime(adapted("qwen3").source)
    settings = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
    answer = ANSWER if enable_thinking is False else thinking(THOUGHT, ANSWER)
    history = [system("Be brief.")] if with_system else []
    for question in ("One?", "Two?", "Three?"):
        before = render(Conversation(history, arguments=settings), False) if history else ""
        history.append(user(question))
        text = render(Conversation(history, arguments=settings))
        assert text.startswith(before)
        assert THOUGHT not in text
        assert text.endswith("<think>\n\n</think>\n\n") == (enable_thinking is False)
        history.append(assistant(answer))


def test_thoughts_that_the_runtime_took_out_of_an_answer_come_back() -> None:
    render = runtime(adapted("qwen3").source)
    apart = {"role": "assistant", "content": "\n\n" + ANSWER, "channels": {"thought": THOUGHT}}
    complete = assistant(thinking(THOUGHT, ANSWER))
    later = [user("Two?")]
    assert render(Conversation([user("One?"), apart, *later])) == render(
        Conversation([user("One?"), complete, *later])
    )


def test_tool_results_of_the_runtime_are_read() -> None:
    render = runtime(adapted("qwen3").source)
    part = {"type": "tool_response", "name": "get_weather", "response": {"sky": "clear"}}
    text = render(Conversation([user("Weather?"), {"role": "tool", "content": [part]}], TOOLS))
    assert '<tool_response>\n{"sky": "clear"}\n</tool_response>' in text


def test_what_a_template_can_do_is_found_by_rendering() -> None:
    qwen, gemma = adapted("qwen3"), adapted("gemma3")
    assert (qwen.supports_thinking, qwen.supports_tools, qwen.end_of_turn) == (
        True,
        True,
        "<|im_end|>",
    )
    assert (gemma.supports_thinking, gemma.supports_tools, gemma.end_of_turn) == (
        False,
        False,
        "<end_of_turn>",
    )
    assert gemma.renders_bos
    assert not qwen.renders_bos
    # SmolLM2's BOS is the token that begins every turn, which is no BOS to be added.
    assert not adapted("smollm2").renders_bos
    assert not qwen.prefix_stable
    assert gemma.prefix_stable


def test_an_original_is_kept_where_it_works() -> None:
    source = (
        "{% for message in messages %}<{{ message.role }}>"
        "{% for part in message.content if message.content is not string %}{{ part.text }}"
        "{% else %}{{ message.content if message.content is string }}{% endfor %}</s>"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    found = adapt(SourceTemplate.of(source, {}))
    assert (found.kind, found.source, found.reasons) == ("original", source, ())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for m in messages %}{{ m.content.translate({}) }}{% endfor %}", "method translate"),
        ("{{ messages[0].content", "cannot be rendered"),
        ("{{ raise_exception('no') }}", "cannot be rendered"),
    ],
)
def test_a_template_that_cannot_be_adapted_falls_back_and_says_why(
    source: str, reason: str
) -> None:
    found = adapt(SourceTemplate.of(source, {}, "{{- messages[0].role -}}"))
    assert found.kind == "fallback"
    assert found.source == "{{- messages[0].role -}}"
    assert any(reason in text for text in found.reasons)


def test_text_that_looks_like_a_method_call_survives_the_runtimes_editing() -> None:
    source = "{{ 'call x.strip() and a.split(b) {% generation %}' }}{{ messages[0].content }}"
    written = adapt(SourceTemplate.of(source, {})).source
    assert ".strip(" not in written
    assert ".split(" not in written
    assert runtime(written)(Conversation([user("!")])).startswith("call x.strip() and a.split(b)")


def test_a_base_model_gets_its_texts_passed_on() -> None:
    assert runtime(NO_TEMPLATE.source)(Conversation([user("Once upon")])) == "Once upon"


def test_a_refused_conversation_says_why() -> None:
    with pytest.raises(TemplateError) as refusal:
        chat_template.render(template_text("gemma3"), [user("a"), user("b")], {"bos_token": ""})
    assert "must alternate" in refusal.value.why


def test_no_template_is_trusted_for_its_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong translation is noticed, because it is rendered and compared."""
    monkeypatch.setattr(template.Translator, "template", lambda self, tree: "{{- 'wrong' -}}")
    found = adapt(SourceTemplate.of(template_text("smollm2"), {}, "{{- 'plain' -}}"))
    assert found.source == "{{- 'plain' -}}"
    assert any("'wrong'" in reason for reason in found.reasons)


def test_messages_are_normalized_as_transformers_does() -> None:
    source = (
        "{% for m in messages %}{{ m.role }}:"
        "{% for key in m %}{{ key }}={{ m[key] }};{% endfor %}{% endfor %}"
    )
    messages = [{"role": "assistant", "content": None, "tool_calls": None, "reasoning": "why"}]
    rendered = chat_template.render(source, messages, {})
    # As tokenizer.apply_chat_template of transformers 5.24.0 renders it.
    assert rendered == (
        "assistant:thinking=why;role=assistant;reasoning=why;reasoning_content=why;"
    )
