"""Chat templates: from Hugging Face's Jinja to what the runtime's minijinja renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
    "{% endfor %}"
)
"""For a base model: the texts and nothing else."""


@dataclass(frozen=True)
class AdaptedTemplate:
    """A chat template that the runtime renders.

    Attributes:
        source: the Jinja text for the bundle.
        kind: `original`, `adapted` (same bytes as the checkpoint's own), `fallback` (the family's
            plain one) or `none` (a base model: texts are passed on as they are).
        reasons: why it is not the original, one sentence each.
        prefix_stable: whether the checkpoint's own template is: whether each turn's text starts
            with the text of the turn before. The bundle's always is.
        end_of_turn: the text that ends an assistant turn, without white space, or None.
        supports_thinking, supports_tools: what the checkpoint's own template can do.
    """

    source: str
    kind: str
    reasons: tuple[str, ...]
    prefix_stable: bool
    end_of_turn: str | None
    supports_thinking: bool
    supports_tools: bool


def adapt(
    chat_template: str | None,
    tokenizer_config: Mapping[str, Any],
    family_fallback: str | None = None,
) -> AdaptedTemplate:
    """Make a template that the runtime renders to the bytes of `apply_chat_template`."""
    if chat_template is None:
        return AdaptedTemplate(
            PLAIN_TEMPLATE,
            "none",
            (),
            prefix_stable=True,
            end_of_turn=None,
            supports_thinking=False,
            supports_tools=False,
        )
    return AdaptedTemplate(
        chat_template,
        "original",
        (),
        prefix_stable=True,
        end_of_turn=None,
        supports_thinking="enable_thinking" in chat_template,
        supports_tools="tools" in chat_template,
    )
