"""The prompt configuration of a bundle: chat template, BOS, stop tokens, sampler, capabilities.

`read_prompt_config(checkpoint, adapt)` depends only on the checkpoint; bundle/metadata.py writes
the result into the LlmMetadata section. The checkpoint's own template is stored unchanged in the
bundle's system metadata under `CHAT_TEMPLATE_KEY`, and the special tokens that it reads, as JSON,
under `TEMPLATE_VARIABLES_KEY`: with these two, hf_template.render gives exact prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from litertlm.bundle.adapted_template import NO_TEMPLATE, AdaptedTemplate, SourceTemplate
from litertlm.bundle.family_prompts import FamilyPrompts, Sampler, family_prompts
from litertlm.bundle.special_tokens import template_variables, thinking_tags
from litertlm.checkpoint import Checkpoint, Tokenizer
from litertlm.checkpoint.token_ids import check_token_ids, read_token_ids, vocabulary_size
from litertlm.errors import DamagedCheckpoint

CHAT_TEMPLATE_KEY = "chat_template"
TEMPLATE_VARIABLES_KEY = "template_variables"
TEMPLATE_KIND_KEY = "template_kind"
TEMPLATE_REASONS_KEY = "template_reasons"
SAMPLER_SOURCE_KEY = "sampler_source"


@dataclass(frozen=True)
class PromptConfig:
    """Everything but the weights that determines prompts and the end of an answer.

    Attributes:
        template: the template that the runtime renders.
        original_template: the checkpoint's own; None for a base model, and for a template that
            cannot be rendered or exceeds a limit.
        template_variables: special tokens by the names that templates use, such as `bos_token`.
        start_token_id: the BOS that the runtime adds, or None. With a chat template it is added
            if the checkpoint's template renders it, else if the tokenizer adds it.
        stop_token_ids: ascending.
        suppressed_token_ids: tokens that are never chosen, ascending.
        sampler: defaults for sampling.
        model_type: field of the runtime's LlmModelType: `qwen3`, `gemma3`, `generic_model`, ...
        thinking_tags: the texts around a thought, or None if the model does not think.
        supports_tools: whether the template renders tool definitions.
    """

    template: AdaptedTemplate
    original_template: str | None
    template_variables: Mapping[str, str]
    start_token_id: int | None
    stop_token_ids: tuple[int, ...]
    suppressed_token_ids: tuple[int, ...]
    sampler: Sampler
    model_type: str
    thinking_tags: tuple[str, str] | None
    supports_tools: bool

    @property
    def supports_thinking(self) -> bool:
        """Whether thoughts are between tags, so that the runtime can separate them."""
        return self.thinking_tags is not None


def source_template(checkpoint: Checkpoint) -> SourceTemplate | None:
    """The checkpoint's chat template, to be adapted; None for a base model."""
    tokenizer = checkpoint.tokenizer
    if tokenizer.chat_template is None:
        return None
    fallback = _family(checkpoint).fallback
    return SourceTemplate.of(tokenizer.chat_template, tokenizer.config, fallback)


def read_prompt_config(
    checkpoint: Checkpoint, adapt: Callable[[SourceTemplate], AdaptedTemplate]
) -> PromptConfig:
    """Read the prompt configuration from a checkpoint's tokenizer, config and generation_config.

    Args:
        adapt: `services.worker.TemplateProcess.adapt`, or `template_adapter.adapt`, which has no
            limits, for a template that is trusted.
    """
    tokenizer, family = checkpoint.tokenizer, _family(checkpoint)
    source = source_template(checkpoint)
    template = NO_TEMPLATE if source is None else adapt(source)
    original = tokenizer.chat_template if template.original_is_usable else None
    begins_with_bos = tokenizer.adds_bos if original is None else template.renders_bos
    tags = thinking_tags(original or "") if template.supports_thinking else None
    return PromptConfig(
        template=template,
        original_template=original,
        template_variables=template_variables(tokenizer.config),
        start_token_id=tokenizer.bos_token_id if begins_with_bos else None,
        stop_token_ids=stop_token_ids(checkpoint, template.end_of_turn),
        suppressed_token_ids=suppressed_token_ids(checkpoint),
        sampler=sampler(checkpoint.generation_config, family.sampler),
        model_type=family.model_type,
        thinking_tags=tags,
        supports_tools=template.supports_tools,
    )


def _family(checkpoint: Checkpoint) -> FamilyPrompts:
    model_type = str(checkpoint.config.get("model_type", ""))
    return family_prompts(model_type, checkpoint.tokenizer.chat_template)


def system_items(prompts: PromptConfig) -> dict[str, str]:
    """The entries of a bundle's system metadata about its prompts."""
    items = {
        TEMPLATE_KIND_KEY: prompts.template.kind,
        SAMPLER_SOURCE_KEY: prompts.sampler.source,
    }
    if prompts.template.reasons:
        items[TEMPLATE_REASONS_KEY] = "\n".join(prompts.template.reasons)
    if prompts.original_template is not None:
        items[CHAT_TEMPLATE_KEY] = prompts.original_template
        items[TEMPLATE_VARIABLES_KEY] = json.dumps(dict(prompts.template_variables))
    return items


def stop_token_ids(checkpoint: Checkpoint, end_of_turn: str | None) -> tuple[int, ...]:
    """The tokens that end an answer.

    Those of generation_config.json, config.json and the tokenizer, and the token that ends an
    assistant's turn in the chat template. Texts that are not a single token are omitted.

    Raises:
        DamagedCheckpoint: a token id of one of these files is no token of the vocabulary.
    """
    size = vocabulary_size(checkpoint.config, checkpoint.tensors)
    ids = config_token_ids(checkpoint, size)
    tokenizer = checkpoint.tokenizer
    ids.update(read_token_ids("The tokenizer's EOS", tokenizer.eos_token_id, size))
    if end_of_turn is not None:
        name = f"The tokenizer's {end_of_turn!r:.100}"
        ids.update(read_token_ids(name, token_id(tokenizer, end_of_turn), size))
    return tuple(sorted(ids))


def suppressed_token_ids(checkpoint: Checkpoint) -> tuple[int, ...]:
    """`suppress_tokens` of generation_config.json; ids beyond the vocabulary have no effect.

    Raises:
        DamagedCheckpoint: an id is no integer, or negative.
    """
    size = vocabulary_size(checkpoint.config, checkpoint.tensors)
    value = checkpoint.generation_config.get("suppress_tokens")
    ids = read_token_ids("generation_config.json: suppress_tokens", value, None, none=-1)
    return tuple(sorted(one for one in set(ids) if size is None or one < size))


def config_token_ids(checkpoint: Checkpoint, size: int | None) -> set[int]:
    """Every `eos_token_id` of the configs; all other keys `*_token_id` are checked as well.

    Args:
        size: tokens of the vocabulary.

    Raises:
        DamagedCheckpoint: a value that is no token of the vocabulary; names file and key.
    """
    text_config = checkpoint.config.get("text_config")
    text = text_config if isinstance(text_config, Mapping) else {}
    ids: set[int] = set()
    for source, values in (
        ("generation_config.json: ", checkpoint.generation_config),
        ("config.json: ", checkpoint.config),
        ("config.json: text_config.", text),
    ):
        check_token_ids(source, values, size)
        ids.update(read_token_ids(f"{source}eos_token_id", values.get("eos_token_id"), size))
    check_token_ids("tokenizer_config.json: ", checkpoint.tokenizer.config, size)
    return ids


def token_id(tokenizer: Tokenizer, text: str) -> int | None:
    """The id of an added token, or None if the tokenizer has no such token."""
    decoder = tokenizer.config.get("added_tokens_decoder")
    wrong = "tokenizer_config.json: added_tokens_decoder is not a table of tokens by id."
    if not isinstance(decoder, (Mapping, type(None))):
        raise DamagedCheckpoint(wrong, why=f"It is {decoder!r:.100}.")
    for key, token in (decoder or {}).items():
        if not isinstance(token, Mapping) or not (key.isascii() and key.isdigit()):
            raise DamagedCheckpoint(wrong, why=f"It has {key!r:.100}: {token!r:.100}.")
        if token.get("content") == text:
            return int(key)
    if tokenizer.json is not None:
        for token in json.loads(tokenizer.json).get("added_tokens") or ():
            if token["content"] == text:
                return int(token["id"])
    return None


def sampler(generation_config: Mapping[str, Any], family: Sampler | None) -> Sampler:
    """Sampling defaults: the checkpoint's, else its family's, else greedy as in transformers.

    A generation_config.json with sampling values and without `do_sample` enables sampling. For
    values that it does not have, those of transformers are used: temperature 1, top-k 50, top-p 1.
    """
    wanted = generation_config.get("do_sample")
    named = [_number(generation_config, key) for key in ("temperature", "top_k", "top_p")]
    temperature, top_k, top_p = named
    if wanted is False or temperature == 0:
        return Sampler("greedy", 1.0, 1, 1.0, "generation_config.json")
    if wanted is None and all(value is None for value in named):
        return family or Sampler("greedy", 1.0, 1, 1.0, "transformers")
    return Sampler(
        "top_p",
        temperature=1.0 if temperature is None else float(temperature),
        top_k=50 if top_k is None else int(top_k),
        top_p=1.0 if top_p is None else float(top_p),
        source="generation_config.json",
    )


def _number(generation_config: Mapping[str, Any], key: str) -> int | float | None:
    """A number from 0, `top_k` an integer; None where the key is missing or null."""
    value = generation_config.get(key)
    kinds = (int,) if key == "top_k" else (int, float)
    if value is None:
        return None
    if type(value) not in kinds or not 0 <= value < 1 << 31:
        raise DamagedCheckpoint(
            f"generation_config.json: {key} is not a number that can be used.",
            why=f"It is {value!r:.100}.",
        )
    number: int | float = value
    return number
