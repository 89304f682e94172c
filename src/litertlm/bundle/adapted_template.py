"""A chat template as it is stored in a bundle; template_adapter.py makes it."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.content is string -%}{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}{{- part.text -}}{%- endfor -%}
{%- endif -%}
{%- endfor -%}
"""
"""For a base model: the texts of the messages and nothing else."""


@dataclass(frozen=True)
class AdaptedTemplate:
    """A chat template that the runtime renders.

    Attributes:
        source: the Jinja text for the bundle.
        kind: `original`, `adapted` (same prompts as the checkpoint's own), `fallback` (the
            family's plain template) or `none` (a base model: the texts are the prompt).
        reasons: why the original is not used, one sentence each.
        prefix_stable: whether in the checkpoint's own template each turn's text starts with the
            text of the previous turn and the answer. The bundle's template always meets the
            runtime's requirement.
        end_of_turn: the text that ends an assistant's turn, stripped of white space, or None.
        renders_bos: whether prompts begin with the text of the BOS token; the bundle's template
            omits it, because the runtime adds the start token.
        supports_thinking, supports_tools: capabilities of the checkpoint's own template.
    """

    source: str
    kind: str
    reasons: tuple[str, ...]
    prefix_stable: bool
    end_of_turn: str | None
    renders_bos: bool
    supports_thinking: bool
    supports_tools: bool


NO_TEMPLATE = AdaptedTemplate(
    PLAIN_TEMPLATE,
    kind="none",
    reasons=(),
    prefix_stable=True,
    end_of_turn=None,
    renders_bos=False,
    supports_thinking=False,
    supports_tools=False,
)
