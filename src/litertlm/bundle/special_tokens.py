"""The special tokens of a tokenizer, by the names that chat templates use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litertlm.errors import DamagedCheckpoint
from litertlm.text import is_utf8

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

    Raises:
        DamagedCheckpoint: a token cannot be stored as UTF-8.
    """
    found = {}
    extra = tokenizer_config.get("extra_special_tokens")
    named = dict(extra) if isinstance(extra, Mapping) else {}
    for key in (*SPECIAL_TOKENS, *named):
        value = tokenizer_config.get(key, named.get(key))
        if isinstance(value, Mapping):
            value = value.get("content")
        if isinstance(value, str):
            if not is_utf8(value):
                raise DamagedCheckpoint(
                    f"tokenizer_config.json: {key} is not valid text.",
                    why=f"It is {value!r:.100}; UTF-8 cannot store half of a surrogate pair.",
                )
            found[key] = value
    return found


def known_tokens(tokenizer_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts of the special and added tokens in tokenizer_config.json, sorted."""
    found = set(template_variables(tokenizer_config).values())
    added = tokenizer_config.get("added_tokens_decoder")
    entries = list(added.values()) if isinstance(added, Mapping) else []
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = tokenizer_config.get(key)
        entries += more if isinstance(more, list) else []
    for entry in entries:
        text = entry.get("content") if isinstance(entry, Mapping) else entry
        if isinstance(text, str) and text.strip():
            found.add(text)
    return tuple(sorted(found))


# Of Qwen3 and most others, and of Gemma 4.
_THINKING_TAGS = (("<think>", "</think>"), ("<|channel>thought\n", "<channel|>"))


def thinking_tags(chat_template: str) -> tuple[str, str] | None:
    """The texts around a thought that a template speaks of, or None."""
    return next((tags for tags in _THINKING_TAGS if tags[1] in chat_template), None)
