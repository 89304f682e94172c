"""The special tokens of a tokenizer, by the names that chat templates use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPECIAL_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


def template_variables(tokenizer_config: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens that transformers passes to a template (`special_tokens_map`).

    Args:
        tokenizer_config: tokenizer_config.json; a token is a text or a mapping with `content`.
    """
    found = {}
    extra = tokenizer_config.get("extra_special_tokens")
    named = dict(extra) if isinstance(extra, Mapping) else {}
    for key in (*SPECIAL_TOKENS, *named):
        value = tokenizer_config.get(key, named.get(key))
        if isinstance(value, Mapping):
            value = value.get("content")
        if isinstance(value, str):
            found[key] = value
    return found
