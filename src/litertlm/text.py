"""Checks of text from outside."""

from __future__ import annotations


def is_utf8(text: str) -> bool:
    """Whether `text` can be stored as UTF-8: JSON may have halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
