"""Prompt defaults of the families, for checkpoints that do not have their own.

Sources of the sampling values: the `generation_config.json` or the model card of the family's
instruction-tuned checkpoints on Hugging Face (docs/models.md lists them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from litertlm.bundle.jinja_literals import text_literal


@dataclass(frozen=True)
class Sampler:
    """Default sampling parameters.

    Attributes:
        kind: `greedy` or `top_p` (top-p after top-k, as the runtime does it).
        temperature, top_p: as in generation_config.json.
        top_k: the number of most probable tokens that may be chosen.
        source: `generation_config.json`, `family` or `transformers` (its default, greedy).
    """

    kind: str
    temperature: float
    top_k: int
    top_p: float
    source: str


@dataclass(frozen=True)
class FamilyPrompts:
    """Prompt defaults of a family.

    Attributes:
        model_type: field of the runtime's LlmModelType, which decides how it parses tool calls.
        sampler: published sampling values, or None.
        fallback: a plain chat template for minijinja, or None.
    """

    model_type: str = "generic_model"
    sampler: Sampler | None = None
    fallback: str | None = None


# The source is stored in bundles: a changed name in it changes their bytes.


def _turns(user: str, assistant: str, end: str, system: str | None = None) -> str:
    """A template that renders each message between its role's header and `end`.

    Without a `system` header, a system message is put before the first user message.
    """
    text = (
        "{%- if message.content is string -%}{%- set text = message.content -%}"
        "{%- else -%}{%- set text = message.content|map(attribute='text')|join -%}{%- endif -%}\n"
    )
    cases = [
        ("user", f"{text_literal(user)} ~ held.text ~ text ~ {text_literal(end)}"),
        ("assistant", f"{text_literal(assistant)} ~ text ~ {text_literal(end)}"),
    ]
    if system is not None:
        cases.append(("system", f"{text_literal(system)} ~ text ~ {text_literal(end)}"))
    body = "".join(
        f'{{%- if message.role == "{role}" -%}}{{{{- {text} -}}}}'
        + ('{%- set held.text = "" -%}' if role == "user" else "")
        + "{%- endif -%}\n"
        for role, text in cases
    )
    if system is None:
        body += (
            '{%- if message.role == "system" -%}{%- set held.text = text ~ "\\n\\n" -%}'
            "{%- endif -%}\n"
        )
    return (
        '{%- set held = namespace(text="") -%}\n'
        "{%- for message in messages -%}\n" + text + body + "{%- endfor -%}\n"
        f"{{%- if add_generation_prompt -%}}{{{{- {text_literal(assistant)} -}}}}{{%- endif -%}}\n"
    )


_CHATML = _turns(
    "<|im_start|>user\n",
    "<|im_start|>assistant\n",
    "<|im_end|>\n",
    "<|im_start|>system\n",
)
_GEMMA = _turns("<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n")
_GEMMA4 = _turns("<|turn>user\n", "<|turn>model\n", "<turn|>\n", "<|turn>system\n")
_LLAMA3 = _turns(
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|eot_id|>",
    "<|start_header_id|>system<|end_header_id|>\n\n",
)
_PHI3 = _turns("<|user|>\n", "<|assistant|>\n", "<|end|>\n", "<|system|>\n")
_GRANITE = _turns(
    "<|start_of_role|>user<|end_of_role|>",
    "<|start_of_role|>assistant<|end_of_role|>",
    "<|end_of_text|>\n",
    "<|start_of_role|>system<|end_of_role|>",
)

_GEMMA_SAMPLER = Sampler("top_p", temperature=1.0, top_k=64, top_p=0.95, source="family")

FAMILIES = {
    "qwen3": FamilyPrompts("qwen3", Sampler("top_p", 0.6, 20, 0.95, "family"), _CHATML),
    "qwen2": FamilyPrompts("qwen2p5", Sampler("top_p", 0.7, 20, 0.8, "family"), _CHATML),
    "gemma3": FamilyPrompts("gemma3", _GEMMA_SAMPLER, _GEMMA),
    "gemma3_text": FamilyPrompts("gemma3", _GEMMA_SAMPLER, _GEMMA),
    "gemma3n": FamilyPrompts(sampler=_GEMMA_SAMPLER, fallback=_GEMMA),
    "gemma3n_text": FamilyPrompts(sampler=_GEMMA_SAMPLER, fallback=_GEMMA),
    "gemma4": FamilyPrompts("gemma4", _GEMMA_SAMPLER, _GEMMA4),
    "gemma4_text": FamilyPrompts("gemma4", _GEMMA_SAMPLER, _GEMMA4),
    "gemma4_unified": FamilyPrompts("gemma4", _GEMMA_SAMPLER, _GEMMA4),
    "gemma4_unified_text": FamilyPrompts("gemma4", _GEMMA_SAMPLER, _GEMMA4),
    "smollm3": FamilyPrompts(sampler=Sampler("top_p", 0.6, 50, 0.95, "family"), fallback=_CHATML),
    "lfm2": FamilyPrompts("lfm2", fallback=_CHATML),
    "phi3": FamilyPrompts(fallback=_PHI3),
    "granite": FamilyPrompts(fallback=_GRANITE),
    "granitemoehybrid": FamilyPrompts(fallback=_GRANITE),
}
"""By `model_type` of config.json."""

_FUNCTION_GEMMA = "function_gemma"
_CALL_START = "<start_function_call>"


def family_prompts(model_type: str, chat_template: str | None) -> FamilyPrompts:
    """The defaults of a family.

    `llama` has several chat formats, recognised by their tokens; so is FunctionGemma, a fine-tune
    of Gemma 3 with function calls of its own.
    """
    known = FAMILIES.get(model_type)
    source = chat_template or ""
    if known is not None:
        return replace(known, model_type=_FUNCTION_GEMMA) if _CALL_START in source else known
    if "<|start_header_id|>" in source:
        return FamilyPrompts(fallback=_LLAMA3)
    return FamilyPrompts(fallback=_CHATML if "<|im_start|>" in source else None)
