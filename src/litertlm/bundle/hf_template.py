"""Render a checkpoint's own chat template to the bytes of transformers' `apply_chat_template`.

    render(source, messages, variables, add_generation_prompt=True, enable_thinking=False)

`run` uses it for exact prompts: `source` is the bundle's `chat_template` (prompt_config.py,
`CHAT_TEMPLATE_KEY`), `variables` its special tokens (special_tokens.py). The environment is
the one of transformers (huggingface/transformers, utils/chat_template_utils.py):
sandboxed Jinja2 with trim_blocks, lstrip_blocks, loop controls, a tojson without HTML escapes,
raise_exception, strftime_now and the generation tag.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from litertlm.errors import TemplateError

# Under which keys messages carry reasoning; the first that is there is used.
_REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")


# What a template can raise while it is compiled or rendered, besides its own exceptions: it calls
# methods of texts, lists and numbers with any arguments. SyntaxError: Jinja compiles to Python, and
# accepts templates whose Python does not compile.
FAILURES = (
    *(jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError),
    *(RuntimeError, SyntaxError, AssertionError),
)
# What says nothing about the conversation, but about this process. To be handled before FAILURES.
LIMITS = (RecursionError, MemoryError)


class _Generation(Extension):
    """The tag around an assistant's text: it marks tokens for training; its body is rendered."""

    tags = {"generation"}  # noqa: RUF012  (Jinja2 wants a plain set)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def environment(now: Callable[[], datetime] = datetime.now) -> jinja2.Environment:
    """The Jinja2 environment of `apply_chat_template`; `now` is the clock of strftime_now."""

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: now().strftime(format)
    return env


def _normalized(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as templates see it since transformers 5.24: without keys whose value is None,
    and with its reasoning under each name that templates read."""
    present = {key: value for key, value in message.items() if value is not None}
    reasoning = next((present[key] for key in _REASONING_KEYS if key in present), None)
    if reasoning is None:
        return present
    return {"thinking": reasoning, **present, "reasoning_content": reasoning}


@lru_cache(maxsize=8)
def _compiled(source: str) -> jinja2.Template:
    return environment().from_string(source)


def render(
    source: str,
    messages: Sequence[Mapping[str, Any]],
    variables: Mapping[str, Any],
    *,
    tools: Iterable[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    **arguments: Any,
) -> str:
    """The prompt text that `apply_chat_template(..., tokenize=False)` returns.

    Args:
        source: the checkpoint's chat template.
        messages: `{"role": ..., "content": ...}`, contents as strings, with `tool_calls`,
            `reasoning_content` and any other key that the template reads.
        variables: see `special_tokens.template_variables`.
        tools: JSON schemas of functions, or None.
        add_generation_prompt: whether the text ends with the header of the assistant's answer.
        arguments: more variables for the template, such as `enable_thinking`.

    Raises:
        TemplateError: the template is not valid, or raises an error for this conversation.
        RecursionError, MemoryError: a limit of this process. There is none on time: templates from
            outside are rendered by `services.worker.TemplateProcess`.
    """
    try:
        text = _compiled(source).render(
            messages=[_normalized(message) for message in messages],
            tools=None if tools is None else list(tools),
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **{**variables, **arguments},
        )
        text.encode()  # a template can write half of a surrogate pair
        return text
    except LIMITS:
        raise
    except (jinja2.TemplateSyntaxError, SyntaxError) as error:
        raise TemplateError("The chat template is not valid Jinja.", why=str(error)) from error
    except FAILURES as error:
        raise TemplateError(
            "The chat template does not accept this conversation.", why=str(error)
        ) from error
