"""A chat template as a bundle has it: what template.py makes of the checkpoint's own."""

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
"""For a base model: the texts and nothing else."""


@dataclass(frozen=True)
class AdaptedTemplate:
    """A chat template that the runtime renders.

    Attributes:
        source: the Jinja text for the bundle.
        kind: `original`, `adapted` (same prompts as the checkpoint's own), `fallback` (the
            family's plain one) or `none` (a base model: texts are passed on as they are).
        reasons: why it is not the original, one sentence each.
        prefix_stable: whether the checkpoint's own template is: whether each turn's text starts
            with the text of the turn before and the answer. The bundle's always satisfies the
            runtime.
        end_of_turn: the text that ends an assistant's turn, without white space, or None.
        renders_bos: whether prompts begin with the BOS token's text; the bundle's template
            leaves it out and the start token stands for it.
        supports_thinking, supports_tools: what the checkpoint's own template can do.
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
