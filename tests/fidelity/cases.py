"""Templates, conversations and goldens, shared by the tests and by make_goldens.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from litertlm.bundle import probe_conversations as known
from litertlm.bundle.probe_conversations import Conversation

FOLDER = Path(__file__).parent
GOLDENS = FOLDER / "goldens" / "prompts.json"

SPECIAL_TOKENS: Mapping[str, Mapping[str, str]] = {
    "early_exit": {"bos_token": "<s>", "eos_token": "<end of turn>"},
    "gemma3": {"bos_token": "<bos>", "eos_token": "<end_of_turn>"},
    "llama3_2": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>"},
    "python_methods": {"eos_token": "<|end|>"},
    "phi3": {"eos_token": "<|endoftext|>"},
    "qwen3": {"eos_token": "<|im_end|>"},
    "smollm2": {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"},
}


def template_names() -> list[str]:
    return sorted(path.stem for path in (FOLDER / "templates").glob("*.jinja"))


def template_text(name: str) -> str:
    return (FOLDER / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


def conversations() -> list[Conversation]:
    return [
        *known.plain_conversations(),
        *known.thinking_conversations(),
        *known.tool_conversations(),
    ]


def digest(text: str | None) -> str:
    """The first 16 hexadecimal digits of the text's sha256; `refused` for None."""
    return "refused" if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
