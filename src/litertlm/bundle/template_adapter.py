"""Chat templates: from Hugging Face's Jinja to what the runtime's minijinja renders.

`adapt` tries, in this order: the checkpoint's own template unchanged; a translation for minijinja
with a prelude that normalises the messages (minijinja_translator.py); the family's plain template.
The first one that gives the bytes of `apply_chat_template` for the conversations of
probe_conversations.py is used.

The runtime renders the complete history at every turn, requires that the text with the new message
starts with the text without it, and prefills the rest. So a history that ends with an answer has to
be the text that the model has processed by then: everything up to its end-of-turn token. If the
checkpoint's own template renders more (a line feed after that token, which would be lost) or less
(Qwen3 renders the thoughts of an answer only while it is the last message), the bundle's template
renders such a history as if another message followed, and removes that message again. A prompt,
which ends with a request, keeps its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from litertlm.bundle import hf_template as reference
from litertlm.bundle.adapted_template import PLAIN_TEMPLATE, AdaptedTemplate, SourceTemplate
from litertlm.bundle.jinja_literals import text_literal
from litertlm.bundle.minijinja_macros import PYTHON_JSON, PYTHON_TEXT
from litertlm.bundle.minijinja_translator import Translator, Untranslatable
from litertlm.bundle.probe_conversations import Conversation
from litertlm.bundle.runtime_jinja import RenderError, compile_for_runtime, runtime_variables
from litertlm.bundle.special_tokens import thinking_tags
from litertlm.bundle.template_traits import (
    MARK,
    ReferenceTemplate,
    TemplateTraits,
    fixed_now,
    is_prefix,
    template_traits,
)
from litertlm.errors import TemplateError

_NORMALISE = """\
{%- set chat = namespace(messages=[], text="", results=[]) -%}
{%- for message in messages -%}
{%- set chat.text = message.content -%}
{%- set chat.results = [] -%}
{%- if message.content is sequence and message.content is not string -%}
{%- set chat.text = "" -%}
{%- for part in message.content -%}
{%- if part is string -%}{%- set chat.text = chat.text ~ part -%}
{%- elif part.type == "tool_response" -%}{%- set chat.results = chat.results + [part] -%}
{%- elif part.text is string -%}{%- set chat.text = chat.text ~ part.text -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if chat.results -%}
{%- for part in chat.results -%}
{%- set result = part.response if part.response is string else part.response|tojson -%}
{%- set chat.messages = chat.messages + [dict(message, name=part.name, content=result)] -%}
{%- endfor -%}
{%- elif message.channels is mapping and message.channels.thought is string -%}
{%- set content = THINK ~ message.channels.thought ~ THOUGHT ~ chat.text -%}
{%- set chat.messages = chat.messages + [dict(message, content=content)] -%}
{%- elif message.content is sequence and message.content is not string -%}
{%- set chat.messages = chat.messages + [dict(message, content=chat.text)] -%}
{%- else -%}
{%- set chat.messages = chat.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = chat.messages -%}
{%- if not tools -%}{%- set tools = none -%}{%- endif -%}
"""

_STABLE_BEFORE = """\
{%- set chat_open = messages and messages[-1].role == "assistant" and not add_generation_prompt -%}
{%- if chat_open -%}
{%- set next = {"role": "user", "content": MARK} -%}
{%- if messages[-1].tool_calls -%}
{%- set next = {"role": "tool", "content": MARK, "name": "", "tool_call_id": "000000000"} -%}
{%- endif -%}
{%- set messages = messages + [next] -%}
{%- endif -%}
{%- set chat_text -%}
"""

_STABLE_AFTER = """\
{%- endset -%}
{%- if chat_open -%}
{%- set chat_text = (chat_text|split(MARK)|list)[0] -%}
{%- set chat_text = (chat_text|split(END)|list)[:-1]|join(END) ~ END -%}
{%- endif -%}
{{- chat_text -}}
"""


def adapt(source: SourceTemplate) -> AdaptedTemplate:
    """A template that the runtime renders to the bytes of `apply_chat_template`.

    A template from outside may take any time or memory: `services.worker.TemplateProcess` calls
    this in a process with limits.

    Raises:
        RecursionError, MemoryError: a limit of this process.
    """
    try:
        original = ReferenceTemplate(source.text, source.variables)
    except reference.LIMITS:
        raise
    except reference.FAILURES as error:
        return use_plain(source, f"{_NOT_RENDERED}: {error}")
    try:
        traits = template_traits(original, source.tokens)
    except TemplateError as error:
        return replace(use_plain(source, f"{_NOT_RENDERED}: {error.why}"), original_is_usable=True)
    reasons: list[str] = []
    if not traits.runtime_stable:
        reasons.append(_UNSTABLE)
    elif not traits.ends_with_token:
        reasons.append(_LOSES_TEXT)
    for kind, build in _candidates(source.text, source.variables, traits):
        try:
            candidate = build()
            difference = _difference(candidate, original, traits, kind)
        except (Untranslatable, RenderError) as error:
            difference = str(error).split("\n", 1)[0]
        if difference is None:
            return AdaptedTemplate(
                candidate,
                "original" if kind == "original" else "adapted",
                tuple(reasons),
                prefix_stable=traits.prefix_stable,
                end_of_turn=traits.end_of_turn,
                renders_bos=traits.renders_bos,
                supports_thinking=traits.supports_thinking,
                supports_tools=traits.supports_tools,
            )
        reasons.append(f"{_NAMES[kind]}: {difference}")
    return _plain(source.fallback, traits, reasons)


def use_plain(source: SourceTemplate, reason: str) -> AdaptedTemplate:
    """The plain template, for a `source` that cannot be rendered at all."""
    text = PLAIN_TEMPLATE if source.fallback is None else source.fallback
    traits = template_traits(ReferenceTemplate(text, source.variables), source.tokens)
    return replace(_plain(source.fallback, traits, [reason]), original_is_usable=False)


# These texts are stored in bundles (`template_reasons`): changing one changes their bytes.
_UNSTABLE = (
    "The checkpoint's own template is not prefix-stable: a new message changes the text of an "
    "earlier answer."
)
_LOSES_TEXT = (
    "The runtime would lose what the checkpoint's own template writes between the end of an answer "
    "and the next message."
)
_NOT_RENDERED = "The checkpoint's template cannot be rendered"
_NAMES = {
    "original": "The checkpoint's own template in the runtime",
    "adapted": "Written anew for the runtime",
    "text": "Written anew with Python's way of printing values",
    "stable": "Written anew and made prefix-stable",
    "stable text": "Written anew, prefix-stable, with Python's way of printing values",
}


def _candidates(
    source: str, variables: Mapping[str, str], traits: TemplateTraits
) -> Iterator[tuple[str, Callable[[], str]]]:
    def translated(stable: bool, text: bool) -> Callable[[], str]:
        return lambda: _translate(source, variables, traits, stable=stable, text=text)

    unchanged_first = [
        ("original", lambda: source),
        ("adapted", translated(stable=False, text=False)),
        ("text", translated(stable=False, text=True)),
    ]
    made_stable = [
        ("stable", translated(stable=True, text=False)),
        ("stable text", translated(stable=True, text=True)),
    ]
    if not traits.runtime_stable:
        yield from made_stable
    elif traits.ends_with_token:
        yield from unchanged_first
    else:
        yield from made_stable
        yield from unchanged_first


def _translate(
    source: str, variables: Mapping[str, str], traits: TemplateTraits, *, stable: bool, text: bool
) -> str:
    """The translation: macros, special tokens, normalised messages, then the template's body."""
    translator = Translator(python_text=text)
    body = translator.template(reference.environment().parse(source))
    parts = []
    if "text" in translator.macros:
        parts.append(PYTHON_TEXT)
    if "json" in translator.macros:
        parts.append(PYTHON_JSON)
    for name, value in variables.items():
        if name in source:
            text_of_token = "" if name == "bos_token" and traits.renders_bos else value
            parts.append(f"{{%- set {name} = {text_literal(text_of_token)} -%}}\n")
    tags = thinking_tags(source) or ("<think>", "</think>")
    begin, done = map(text_literal, tags)
    parts.append(_NORMALISE.replace("THINK", begin).replace("THOUGHT", done))
    if not stable:
        return "".join([*parts, body])
    if traits.end_of_turn is None:
        raise Untranslatable("the end of an assistant's turn cannot be told")
    mark, end = text_literal(MARK), text_literal(traits.end_of_turn)
    before = _STABLE_BEFORE.replace("MARK", mark)
    after = _STABLE_AFTER.replace("MARK", mark).replace("END", end)
    return "".join([*parts, before, body, after])


_DIFFERENT_MEANING = re.compile(
    r"\.(startswith|endswith|replace|split|join|[lr]?strip|items)\("
    r"|\{%-?\s*((end)?generation|break|continue)\b|\bis\s+(not\s+)?none\b"
)


def _difference(
    source: str, original: ReferenceTemplate, traits: TemplateTraits, kind: str
) -> str | None:
    """The first difference from the checkpoint's own template, or None."""
    if kind == "original" and (found := _DIFFERENT_MEANING.search(source)):
        return f"{found.group()!r} means something else there"
    render = compile_for_runtime(source, fixed_now)

    def text(chat: Conversation, prompt: bool) -> str | None:
        arguments = runtime_variables(
            chat.messages, chat.tools, chat.arguments, add_generation_prompt=prompt
        )
        try:
            return render(arguments)
        except RenderError:
            if original.text(chat, prompt=prompt) is None:
                return None
            raise

    for chat in traits.conversations:
        for prompt in (True, False):
            if not prompt and kind.startswith("stable"):
                continue
            wanted = original.text(chat, prompt=prompt)
            if wanted is None:
                continue
            if traits.renders_bos:
                wanted = wanted.removeprefix(original.bos)
            got = text(chat, prompt)
            if got != wanted:
                return _describe(wanted, got or "")
    for chat in traits.histories:
        if not is_prefix(text, chat):
            return "a turn's text does not start with the text of the turn before"
    return None


def _describe(wanted: str, got: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), None)
    at = min(len(wanted), len(got)) if at is None else at
    return f"{got[at : at + 30]!r} instead of {wanted[at : at + 30]!r} at character {at}"


def _plain(fallback: str | None, traits: TemplateTraits, reasons: Sequence[str]) -> AdaptedTemplate:
    return AdaptedTemplate(
        PLAIN_TEMPLATE if fallback is None else fallback,
        "fallback",
        tuple(reasons),
        prefix_stable=traits.prefix_stable,
        end_of_turn=traits.end_of_turn,
        renders_bos=traits.renders_bos,
        supports_thinking=False,
        supports_tools=False,
    )
