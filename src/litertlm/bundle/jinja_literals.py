"""Texts in Jinja source."""

from __future__ import annotations

import json
import re

# What the runtime rewrites in a template, in texts too.
_EDITED = re.compile(r"\.(?=(?:startswith|endswith|replace|split|join|[lr]?strip|items)\()")


def text_literal(text: str) -> str:
    """A string literal that both engines read as `text` and the runtime's editing leaves alone."""
    literal = json.dumps(text, ensure_ascii=False)
    literal = _EDITED.sub(r"\\u002e", literal)
    return literal.replace("{%", "{\\u0025").replace("{{", "{\\u007b").replace("{#", "{\\u0023")
