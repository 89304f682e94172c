"""From messages to the text that the model is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from litertlm.bundle_format.info import BundleInfo, template_variables
from litertlm.services.chat.chat import Message, Render
from litertlm.services.worker import TemplateProcess

TEMPLATE_KEY = "chat_template"
KIND_KEY = "template_kind"


def plain_render(
    messages: Sequence[Message],
    *,
    think: bool | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The messages' texts as they are, for base models and `--raw`."""
    return "".join(message["content"] for message in messages)


def template_source(info: BundleInfo) -> str:
    """The chat template, the checkpoint's own where the bundle keeps it; empty for none."""
    return info.properties.get(TEMPLATE_KEY) or info.template or ""


def is_base_model(info: BundleInfo) -> bool:
    """Whether the model was not made for chats: it continues the text that it is given."""
    if TEMPLATE_KEY in info.properties or info.affixes:
        return False
    return info.template is None or info.properties.get(KIND_KEY) == "none"


def base_model_notice(name: str, instruct: str | None) -> str:
    """The message about a base model, with the one to chat with where there is one."""
    notice = f"{name} is a base model: it continues your text, and does not answer or chat."
    if instruct:
        notice += f" To chat: litert-lm-cli run {instruct}"
    return notice


class TemplateRender:
    """A `Render` of a bundle's chat template; see `template_render`.

    Args:
        render: renders the messages.
        process: which it does in this process, or None.
    """

    def __init__(self, render: Render, process: TemplateProcess | None = None) -> None:
        self._render = render
        self._process = process

    def __enter__(self) -> TemplateRender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(
        self,
        messages: Sequence[Message],
        *,
        think: bool | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        return self._render(messages, think=think, tools=tools)

    def cancel(self) -> None:
        """Let a running call raise `KeyboardInterrupt`; safe in a signal handler."""
        if self._process is not None:
            self._process.cancel()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()


def template_render(info: BundleInfo, process: TemplateProcess | None = None) -> TemplateRender:
    """What renders a bundle's chat template, in a process with limits on time and memory.

    The checkpoint's own template, where the bundle keeps it, gives the exact bytes of
    `apply_chat_template`; the runtime's may be an adaptation. A base model has none: it gets
    the texts as they are.

    Args:
        process: which renders; it may have been started before. None for another one.

    Raises:
        DamagedBundle: the template's variables cannot be read.
    """
    if is_base_model(info):
        return TemplateRender(plain_render)
    source = template_source(info)
    if not source:
        return TemplateRender(_affix_render(info.affixes))
    variables = template_variables(info)
    process = process or TemplateProcess()
    process.start()  # it is ready when the model is loaded

    def render(
        messages: Sequence[Message],
        *,
        think: bool | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        chosen = {} if think is None else {"enable_thinking": think}
        return process.render(
            source, variables, messages=messages, tools=list(tools) or None, **chosen
        )

    return TemplateRender(render, process)


def _affix_render(affixes: Mapping[str, tuple[str, str]]) -> Render:
    """Older bundles say only what stands before and after a message of each role."""

    def render(
        messages: Sequence[Message],
        *,
        think: bool | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        text = ""
        for message in messages:
            before, after = affixes.get(message["role"], ("", ""))
            text += before + message["content"] + after
        return text + affixes.get("assistant", ("", ""))[0]

    return render
