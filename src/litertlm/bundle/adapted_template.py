"""A chat template as it is stored in a bundle, and what template_adapter.py makes it from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litertlm.bundle.special_tokens import known_tokens, template_variables

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
class SourceTemplate:
    """A checkpoint's chat template, and what its adaptation depends on.

    Attributes:
        text: the Jinja text.
        variables: special tokens by the names that templates use (`template_variables`).
        tokens: texts of special tokens (`known_tokens`), one of which may end a turn.
        fallback: a plain template for minijinja, used if no other gives the same prompts; None for
            PLAIN_TEMPLATE.
    """

    text: str
    variables: Mapping[str, str]
    tokens: Sequence[str]
    fallback: str | None = None

    @classmethod
    def of(
        cls, text: str, tokenizer_config: Mapping[str, Any], fallback: str | None = None
    ) -> SourceTemplate:
        """With the special tokens of tokenizer_config.json.

        Raises:
            DamagedCheckpoint: a token cannot be stored as UTF-8.
        """
        variables = template_variables(tokenizer_config)
        return cls(text, variables, known_tokens(tokenizer_config), fallback)


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
        original_is_usable: whether the checkpoint's own template can be rendered.
    """

    source: str
    kind: str
    reasons: tuple[str, ...]
    prefix_stable: bool
    end_of_turn: str | None
    renders_bos: bool
    supports_thinking: bool
    supports_tools: bool
    original_is_usable: bool = True


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
