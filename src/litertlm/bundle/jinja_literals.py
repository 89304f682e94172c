"""String literals in Jinja source."""

from __future__ import annotations

import json
import re

# Method calls that the runtime rewrites in a template's source, inside of strings too.
_EDITED = re.compile(r"\.(?=(?:startswith|endswith|replace|split|join|[lr]?strip|items)\()")


def text_literal(text: str) -> str:
    """A string literal that both engines parse as `text` and that the runtime does not rewrite."""
    literal = json.dumps(text, ensure_ascii=False)
    literal = _EDITED.sub(r"\\u002e", literal)
    return literal.replace("{%", "{\\u0025").replace("{{", "{\\u007b").replace("{#", "{\\u0023")
