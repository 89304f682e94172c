"""What a bundle's metadata says about prompts: as data and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def bundle_fields(path: Path) -> dict[str, Any]:
    """Fields for `show`, read from a `.litertlm` file.

    Raises:
        DamagedBundle: the file is not a valid bundle.
    """
    from litertlm.bundle.prompt_config import (
        SAMPLER_SOURCE_KEY,
        TEMPLATE_KIND_KEY,
        TEMPLATE_REASONS_KEY,
    )
    from litertlm.bundle_format.info import SamplerDefaults, read_bundle_info, template_variables

    info = read_bundle_info(path)
    template_variables(info)  # `run` cannot do without them
    system, sampler = info.header.system, info.sampler or SamplerDefaults()
    reasons = str(system.get(TEMPLATE_REASONS_KEY, ""))
    return {
        "shapes": system.get("shapes"),
        "context": info.context,
        "template": system.get(TEMPLATE_KIND_KEY, "unknown") if info.template else None,
        "template_reasons": reasons.split("\n") if reasons else [],
        "start_tokens": list(info.start_tokens),
        "stop_tokens": list(info.stop_tokens),
        "suppressed_tokens": list(info.suppressed_tokens),
        "sampler": {
            "type": sampler.type,
            "top_k": sampler.top_k or 0,
            "top_p": round(sampler.top_p or 0.0, 6),
            "temperature": round(sampler.temperature or 0.0, 6),
            "source": system.get(SAMPLER_SOURCE_KEY),
        },
        "model_type": info.model_type,
        "thinking": info.thinking,
        "tools": info.tools,
        "channels": {name: list(texts) for name, texts in info.channels.items()},
        "tokenizer": info.tokenizer,
        "made_by": system.get("created_by"),
        "sections": {section.kind: section.nbytes for section in info.header.sections},
    }


def bundle_lines(fields: dict[str, Any]) -> list[str]:
    """The same as lines of text."""
    sampler = fields["sampler"]
    where = f" ({sampler['source']})" if sampler["source"] else ""
    greedy = sampler["type"] == "greedy" or sampler["top_k"] == 1
    sampling = (
        "greedy"
        if greedy
        else f"temperature {sampler['temperature']:g}, top-k {sampler['top_k']}, "
        f"top-p {sampler['top_p']:g}"
    )
    template = _TEMPLATES.get(fields["template"], fields["template"])
    lines = {
        "context": f"{fields['context']:,} tokens (default)" if fields["context"] else None,
        "template": template,
        "BOS": _tokens(fields["start_tokens"]) or "none",
        "stop tokens": _tokens(fields["stop_tokens"]) or "none",
        "suppressed": _tokens(fields["suppressed_tokens"]) or None,
        "sampler": sampling + where,
        "supports": ", ".join(name for name in ("thinking", "tools") if fields[name]) or None,
        "tokenizer": _TOKENIZERS.get(fields["tokenizer"], fields["tokenizer"]),
    }
    shown = [f"{name:<12}{value}" for name, value in lines.items() if value is not None]
    at = next((i for i, line in enumerate(shown) if line.startswith("template")), len(shown))
    reasons = [f"{'':<12}{reason}" for reason in fields["template_reasons"]]
    return [*shown[: at + 1], *reasons, *shown[at + 1 :]]


_TEMPLATES = {
    "original": "original",
    "adapted": "adapted for the runtime (same prompts as the original)",
    "fallback": "generic template of the family (the original cannot be adapted)",
    "none": "none (base model)",
    "unknown": "from the bundle",
    None: "none",
}
_TOKENIZERS = {"huggingface": "tokenizer.json", "sentencepiece": "SentencePiece"}


def _tokens(tokens: list[Any]) -> str:
    return ", ".join(repr(token) if isinstance(token, str) else str(token) for token in tokens)
