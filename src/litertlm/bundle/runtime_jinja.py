"""The runtime's template engine, without loading a model.

The PyPI package `minijinja` is the same engine; the settings, filters and tests below are those
that the runtime adds (litert-lm-api 0.18.1). Tests in tests/e2e compare it with the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any


class RenderError(Exception):
    """The engine reported an error; the text is its reason."""


def compile_for_runtime(
    source: str, now: Callable[[], datetime]
) -> Callable[[Mapping[str, Any]], str]:
    """A function from the runtime's template variables to the text; it raises `RenderError`.

    Raises:
        RenderError: the source is not valid for minijinja.
    """
    import minijinja

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    env = minijinja.Environment()
    env.trim_blocks = True
    env.lstrip_blocks = True
    env.keep_trailing_newline = True
    env.auto_escape_callback = lambda name: False
    env.finalizer = _printed
    env.add_global("raise_exception", raise_exception)
    env.add_global("strftime_now", lambda form: now().strftime(form))
    env.add_filter("tojson", lambda value: json.dumps(value, ensure_ascii=False))
    env.add_filter("lstrip", lambda text, chars=None: text.lstrip(chars))
    env.add_filter("rstrip", lambda text, chars=None: text.rstrip(chars))
    try:
        env.add_template("chat", source)
    except (minijinja.TemplateError, UnicodeEncodeError) as error:
        raise RenderError(str(error)) from error

    def render(variables: Mapping[str, Any]) -> str:
        try:
            return str(env.render_template("chat", **variables))
        except (minijinja.TemplateError, TypeError, ValueError, AttributeError) as error:
            raise RenderError(str(error)) from error

    return render


def _printed(value: Any) -> Any:
    """The text that the runtime writes for a value; the package would format it as Python does.

    None stands for undefined values too, for which nothing is written. For null the runtime writes
    `none`, which never equals what transformers writes.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def runtime_variables(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    arguments: Mapping[str, Any],
    *,
    add_generation_prompt: bool,
) -> dict[str, Any]:
    """The variables that the runtime passes: contents as lists of parts, empty special tokens."""
    parts = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            message = {**message, "content": [{"type": "text", "text": content}]}
        parts.append(message)
    variables: dict[str, Any] = {
        "messages": parts,
        "add_generation_prompt": add_generation_prompt,
        "bos_token": "",
        "eos_token": "",
        **arguments,
    }
    if tools is not None:
        variables["tools"] = list(tools)
    return variables
