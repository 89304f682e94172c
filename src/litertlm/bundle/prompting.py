"""What a bundle says about prompts: chat template, BOS, stop tokens, sampler, capabilities.

`prompting(checkpoint)` is a pure function of the checkpoint; bundle/metadata.py writes the result
into the LlmMetadata section, and the original template into the section's system metadata under
`CHAT_TEMPLATE_KEY`, where `run` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.bundle.template import AdaptedTemplate, adapt
from litertlm.checkpoint import Checkpoint

CHAT_TEMPLATE_KEY = "chat_template"
"""System-metadata (and provenance) key of the checkpoint's own template, as it was."""


@dataclass(frozen=True)
class Sampler:
    """Default sampling parameters.

    Attributes:
        kind: `greedy`, `top_k` or `top_p` (top-p after top-k, as the runtime does it).
        temperature, top_k, top_p: as in generation_config.json; `top_k` 0 where there is no limit.
        source: `generation_config` or `family`, where the values come from.
    """

    kind: str
    temperature: float
    top_k: int
    top_p: float
    source: str


GREEDY = Sampler("greedy", temperature=1.0, top_k=1, top_p=1.0, source="generation_config")


@dataclass(frozen=True)
class Prompting:
    """Everything but weights that decides what a model is asked and when it stops.

    Attributes:
        template: the template that the runtime renders.
        original_template: the checkpoint's own, or None for a base model.
        start_token_id: BOS that the runtime puts first, or None where the tokenizer adds none or
            the template already renders it.
        stop_token_ids: ascending.
        sampler: defaults for sampling.
        model_type: field of the LlmModelType proto: `qwen3`, `gemma3`, `generic_model`, ...
        supports_thinking, supports_tools: what the template can do.
    """

    template: AdaptedTemplate
    original_template: str | None
    start_token_id: int | None
    stop_token_ids: tuple[int, ...]
    sampler: Sampler
    model_type: str
    supports_thinking: bool
    supports_tools: bool


def prompting(checkpoint: Checkpoint) -> Prompting:
    """Read a checkpoint's prompting from its tokenizer, config and generation_config."""
    tokenizer = checkpoint.tokenizer
    template = adapt(tokenizer.chat_template, tokenizer.config)
    return Prompting(
        template=template,
        original_template=tokenizer.chat_template,
        start_token_id=tokenizer.bos_token_id if tokenizer.adds_bos else None,
        stop_token_ids=_stop_token_ids(checkpoint),
        sampler=GREEDY,
        model_type="generic_model",
        supports_thinking=template.supports_thinking,
        supports_tools=template.supports_tools,
    )


def _stop_token_ids(checkpoint: Checkpoint) -> tuple[int, ...]:
    ids: set[int] = set()
    sources = (
        checkpoint.generation_config.get("eos_token_id"),
        checkpoint.config.get("eos_token_id"),
        checkpoint.tokenizer.eos_token_id,
    )
    for value in sources:
        if isinstance(value, int):
            ids.add(value)
        elif value is not None:
            ids.update(value)
    return tuple(sorted(ids))
