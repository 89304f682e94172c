"""Function calls as Gemma 4 writes them: `call:name{key:<|"|>text<|"|>,other:[1,2]}`.

FunctionGemma has `<escape>` in place of `<|"|>`.
"""

from __future__ import annotations

import json
import re
from typing import Any

_CALL = re.compile(r"call:\s*(?P<name>[\w.-]+)\s*(?=\{)")
_QUOTE = '<|"|>'
_OLDER_QUOTE = "<escape>"
_KEY = re.compile(r'\s*(?:<\|"\|>(?P<quoted>.*?)<\|"\|>|(?P<bare>[^\s:{}\[\],]+))\s*:\s*', re.S)
_WORD = re.compile(r"[^,{}\[\]]*")
_SPACE = re.compile(r"\s*")
_DEEPEST = 64


def read_gemma_call(text: str) -> tuple[str, dict[str, Any]] | None:
    """The name and the arguments of a call, or None for any other text."""
    if _QUOTE not in text:
        text = text.replace(_OLDER_QUOTE, _QUOTE)
    found = _CALL.match(text)
    if found is None:
        return None
    try:
        arguments, place = _value(text, found.end(), 0)
    except ValueError:
        return None
    return None if text[place:].strip() else (found["name"], arguments)


def _value(text: str, place: int, depth: int) -> tuple[Any, int]:
    """A value and the place after it; raises ValueError if there is none."""
    if depth > _DEEPEST:
        raise ValueError
    if text.startswith(_QUOTE, place):
        begin = place + len(_QUOTE)
        end = text.index(_QUOTE, begin)
        return text[begin:end], end + len(_QUOTE)
    if text.startswith("{", place):
        return _object(text, place + 1, depth + 1)
    if text.startswith("[", place):
        return _list(text, place + 1, depth + 1)
    word = _WORD.match(text, place)
    assert word is not None  # it matches the empty text
    return _scalar(word[0].strip()), word.end()


def _object(text: str, place: int, depth: int) -> tuple[dict[str, Any], int]:
    result: dict[str, Any] = {}
    while not text.startswith("}", place := _skip(text, place)):
        key = _KEY.match(text, place)
        if key is None:
            raise ValueError
        name = key["bare"] if key["quoted"] is None else key["quoted"]
        result[name], place = _value(text, key.end(), depth)
        place = _after(text, place, "}")
    return result, place + 1


def _list(text: str, place: int, depth: int) -> tuple[list[Any], int]:
    result = []
    while not text.startswith("]", place := _skip(text, place)):
        value, place = _value(text, place, depth)
        result.append(value)
        place = _after(text, place, "]")
    return result, place + 1


def _after(text: str, place: int, end: str) -> int:
    """The place of the next entry, or of `end`."""
    place = _skip(text, place)
    if text.startswith(",", place):
        return place + 1
    if not text.startswith(end, place):
        raise ValueError
    return place


def _skip(text: str, place: int) -> int:
    space = _SPACE.match(text, place)
    assert space is not None  # it matches the empty text
    return space.end()


def _scalar(word: str) -> Any:
    """A number, `true`, `false` or `null`; other words are texts whose quotes are missing."""
    if not word:
        raise ValueError
    try:
        return json.loads(word)
    except ValueError:
        return None if word == "None" else word
