"""From messages to the text that the model is given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from litertlm.errors import UnsupportedModel
from litertlm.runtime.bundle_info import BundleInfo
from litertlm.services.chat import Message, Render

TEMPLATE_KEY = "chat_template"
VARIABLES_KEY = "template_variables"


def plain_render(
    messages: Sequence[Message],
    *,
    think: bool | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The messages' texts as they are, for `--raw`."""
    return "".join(message["content"] for message in messages)


def template_render(name: str, info: BundleInfo) -> Render:
    """What renders a bundle's chat template.

    The checkpoint's own template, where the bundle keeps it, gives the exact bytes of
    `apply_chat_template`; the runtime's may be an adaptation.

    Raises:
        UnsupportedModel: the bundle has none.
    """
    source = info.properties.get(TEMPLATE_KEY) or info.template
    if source is None:
        if info.affixes:
            return _affix_render(info.affixes)
        raise UnsupportedModel(
            f"{name} has no chat template.",
            hint="`--raw` gives it your text as it is, for completion.",
        )
    from litertlm.bundle import chat_template as jinja

    variables = json.loads(info.properties.get(VARIABLES_KEY, "{}"))

    def render(
        messages: Sequence[Message],
        *,
        think: bool | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        chosen = {} if think is None else {"enable_thinking": think}
        return jinja.render(source, messages, variables, tools=list(tools) or None, **chosen)

    return render


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
