"""What a checkpoint's chat template does: found out by rendering it with Jinja2."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from litertlm.bundle import hf_template as reference
from litertlm.bundle import probe_conversations as probe
from litertlm.bundle.probe_conversations import Conversation
from litertlm.errors import TemplateError

MARK = "\u2063next message\u2063"
"""A text that no template contains."""


@dataclass(frozen=True)
class TemplateTraits:
    """What the adaptation of a template depends on.

    Attributes:
        prefix_stable, end_of_turn, renders_bos, supports_thinking, supports_tools: as in
            `AdaptedTemplate`.
        runtime_stable: whether the text with a new message always starts with the text without it.
        ends_with_token: whether a history that ends with an answer ends with `end_of_turn`.
        conversations: those that the template is compared for.
        histories: those of them in which a message follows an answer.
    """

    prefix_stable: bool
    runtime_stable: bool
    ends_with_token: bool
    end_of_turn: str | None
    renders_bos: bool
    supports_thinking: bool
    supports_tools: bool
    conversations: tuple[Conversation, ...]
    histories: tuple[Conversation, ...]


def fixed_now() -> datetime:
    """The clock of the comparison."""
    return datetime(2025, 3, 9, 12, 30)


class ReferenceTemplate:
    """The checkpoint's template, compiled with Jinja2."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self.bos = variables.get("bos_token", "")
        self._variables = dict(variables)
        self._compiled = reference.environment(fixed_now).from_string(source)

    def writes_bos(self, chat: Conversation) -> bool:
        """Whether the prompt begins with the variable `bos_token`, not with its literal text."""
        text = self.text(chat, prompt=True, bos_token=MARK) if self.bos else None
        return text is not None and text.startswith(MARK)

    def text(self, chat: Conversation, *, prompt: bool, **more: str) -> str | None:
        """The rendered text, or None if the template raises an error."""
        try:
            return self._compiled.render(
                messages=list(chat.messages),
                tools=None if chat.tools is None else list(chat.tools),
                documents=None,
                add_generation_prompt=prompt,
                **{**self._variables, **chat.arguments, **more},
            )
        except reference.LIMITS:
            raise
        except reference.FAILURES:
            return None


def template_traits(original: ReferenceTemplate, tokens: Iterable[str]) -> TemplateTraits:
    """The traits of a template.

    Args:
        tokens: texts of special tokens, one of which may end a turn.

    Raises:
        TemplateError: it refuses a single user message.
    """
    hello = Conversation([probe.user("Hello")])
    asked = original.text(hello, prompt=True)
    if asked is None:
        raise TemplateError(
            "The chat template cannot be used.", why="it refuses a single user message"
        )
    on, off = (
        original.text(Conversation(hello.messages, None, {"enable_thinking": value}), prompt=True)
        for value in (True, False)
    )
    with_tools = original.text(Conversation(hello.messages, probe.TOOLS), prompt=True)
    supports_tools = with_tools is not None and probe.TOOL_NAME in with_tools
    thinks = on != off or (on is not None and on.rstrip().endswith("<think>"))
    chats = probe.plain_conversations() + probe.thinking_conversations()
    histories = [c for c in chats if len(c.messages) > 2]
    if supports_tools:
        chats += probe.tool_conversations()
        histories += [c for c in probe.tool_conversations() if len(c.messages) > 2]
    end = _end_of_turn(original, tokens)
    answered = original.text(
        Conversation([*hello.messages, probe.assistant(probe.ANSWER)]), prompt=False
    )
    return TemplateTraits(
        prefix_stable=all(_keeps_prompt(original, chat) for chat in histories),
        runtime_stable=all(
            is_prefix(lambda c, p: original.text(c, prompt=p), chat) for chat in histories
        ),
        ends_with_token=end is not None and (answered or "").endswith(probe.ANSWER + end),
        end_of_turn=end,
        renders_bos=original.writes_bos(hello),
        supports_thinking=thinks,
        supports_tools=supports_tools,
        conversations=tuple(chats),
        histories=tuple(histories),
    )


def _end_of_turn(original: ReferenceTemplate, tokens: Iterable[str]) -> str | None:
    """The token after an answer: one of `tokens`, else a text that looks like a token."""
    chat = [probe.user("Hello"), probe.assistant(probe.ANSWER), probe.user("Bye")]
    text = original.text(Conversation(chat), prompt=True)
    if text is None or probe.ANSWER not in text:
        return None
    rest = text.split(probe.ANSWER, 1)[1].lstrip()
    named = [token for token in tokens if token and rest.startswith(token.strip())]
    if named:
        return max(named, key=len).strip()
    found = re.match(r"<[^<>\s]+>|\[/?[A-Z_]+\]", rest)
    return found.group() if found else None


def _turns(chat: Conversation) -> Iterator[tuple[Conversation, Conversation]]:
    """Each history that ends with an answer, and the same with the next request."""
    for index, message in enumerate(chat.messages[:-1]):
        if message["role"] == "assistant":
            stop = index + 2
            while stop < len(chat.messages) and chat.messages[stop]["role"] == "tool":
                stop += 1
            yield (
                Conversation(chat.messages[: index + 1], chat.tools, chat.arguments),
                Conversation(chat.messages[:stop], chat.tools, chat.arguments),
            )


def is_prefix(text: Callable[[Conversation, bool], str | None], chat: Conversation) -> bool:
    """Whether the runtime accepts every turn of this conversation."""
    for before, after in _turns(chat):
        old, new = text(before, False), text(after, True)
        if old is not None and new is not None and not new.startswith(old):
            return False
    return True


def _keeps_prompt(original: ReferenceTemplate, chat: Conversation) -> bool:
    """Whether each turn's text starts with the previous turn and the unchanged answer."""
    for before, after in _turns(chat):
        answer = before.messages[-1]
        asked = Conversation(before.messages[:-1], before.tools, before.arguments)
        old, new = original.text(asked, prompt=True), original.text(after, prompt=True)
        if old is None or new is None or answer.get("tool_calls"):
            continue
        rest = new[len(old) :] if new.startswith(old) else ""
        if not rest.lstrip().startswith(str(answer["content"]).strip()):
            return False
    return True
