"""Errors of the runtime's native code, from the text that it prints."""

from __future__ import annotations

import re

from litertlm.errors import EngineFailed, LiteRtLmError, NotEnoughResources, UsageError
from litertlm.runtime.engine import prompt_too_long
from litertlm.runtime.stderr_capture import informative_lines

_REASON_LINES = 8
# The first is TFLite's, for memory that cannot be mapped.
_NO_MEMORY = ("data != ((void *) -1)", "Failed to allocate", "Cannot allocate memory", "bad_alloc")
_SCHEMA_ERROR = re.compile(r"Failed to create LLGuidance constraint: (.+)")
_GRAMMAR_ERROR = "doesn't satisfy the grammar"
_TOO_LONG = re.compile(r"token ids are too long\..*?: (\d+) >= (\d+)")
# Message about an attachment that cannot be decoded, and the kind of attachment.
_DECODER_ERRORS = {
    r"Failed to decode image\. Reason: (.+)": "image",
    r"Failed to initialize miniaudio decoder, (.+)": "audio",
}


def native_error(what: str, printed: str, error: Exception, hint: str = "") -> LiteRtLmError:
    """The error for a failure of native code.

    Args:
        what: one sentence, what happened.
        printed: what native code printed on stderr.
        hint: what to do next, if the reason is not a known one.
    """
    text = f"{printed}\n{error}"
    why = "\n".join(informative_lines(text)[-_REASON_LINES:])
    if schema := _SCHEMA_ERROR.search(text):
        return UsageError("The JSON Schema cannot be used.", why=schema[1])
    for pattern, kind in _DECODER_ERRORS.items():
        if found := re.search(pattern, text):
            return UsageError(
                f"The attached {kind} cannot be decoded.", why=f"The decoder: {found[1].strip()}."
            )
    if sizes := _TOO_LONG.search(text):
        return prompt_too_long(*map(int, sizes.groups()))
    if _GRAMMAR_ERROR in text:
        return EngineFailed(
            "The runtime could not generate text that matches the JSON Schema.",
            why="With the tokenizers of many models it cannot generate names and values of a "
            "schema (properties, enum, const) that contain spaces or non-ASCII letters.",
            hint="Use names such as full_name.",
        )
    if any(message in text for message in _NO_MEMORY):
        hint = "Use a smaller model or --context, or close other programs."
        return NotEnoughResources(what, why=why, hint=hint)
    return EngineFailed(what, why=why, hint=hint)
