"""The forms in which models write function calls, read back.

| form | written by |
|---|---|
| `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` | Qwen, SmolLM3, Hermes |
| `<|tool_call|>[{...}, ...]`, with `<|/tool_call|>` or without | Phi-4-mini, Granite 3 |
| `<|tool_call>call:name{key:<|"|>value<|"|>}<tool_call|>` | Gemma 4 |
| `<start_function_call>call:name{key:<escape>value<escape>}<end_function_call>` | FunctionGemma |
| `[TOOL_CALLS] [{...}, ...]`, `[TOOL_CALLS]name[ARGS]{...}` | Mistral, older and newer |
| `<|python_tag|>` and JSON or `name.call(key="value")`; JSON alone with `parameters` | Llama 3 |
| `[name(key="value"), ...]` | Llama 3.2, Gemma 3 |
| a fence of `tool_code` or `python` around such calls | Gemma 3 |
| `<code>name(key="value")</code>` | SmolLM3 |

The tokens around a call may be missing: a tokenizer that counts them as special drops them from
the text.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litertlm.services.chat.gemma_calls import read_gemma_call

# Before and after a call. What ends one may never come, and then the end of the answer does.
MARKERS = (
    ("<tool_call>", "</tool_call>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<|tool_call>", "<tool_call|>"),
    ("<start_function_call>", "<end_function_call>"),
    ("[TOOL_CALLS]", "</s>"),
    ("<|python_tag|>", "<|eom_id|>"),
)
_MARKED = re.compile(
    "|".join(f"{re.escape(start)}(.*?)(?:{re.escape(end)}|\\Z)" for start, end in MARKERS)
    + r"|```tool_code\n(.*?)(?:```|\Z)|<code>(.*?)(?:</code>|\Z)",
    re.S,
)
_THOUGHT_ENDS = re.compile(r"</think>|<channel\|>")
_FENCE = re.compile(r"```(?:python|json)?\n(.*?)(?:```|\Z)", re.S)
_NEW_MISTRAL = re.compile(r"\s*(?P<name>[\w.-]+)(?:\[CALL_ID\]\w+)?\[ARGS\]\s*")
# How an answer begins that may turn out to be nothing but calls.
_BARE = re.compile(
    r"\s*(?:\{|\[\s*(?:\{|[A-Za-z_][\w.]*\()|```(?:python|json|tool_code)?\n|<code>)"
)
_MAYBE_BARE = re.compile(r"\s*(?:\[\s*(?:[A-Za-z_][\w.]*)?|`{1,2}|```[a-z_]{0,9}|<[code]{0,4})?")
_BETWEEN_VALUES = re.compile(r"[ \r\n\t;,]*")
_PYTHON = re.compile(r"(?:\[\s*)?[A-Za-z_][\w.]*\s*[=(]")
_CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Call:
    """A function that the model wants to be called."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """As data."""
        return {"name": self.name, "arguments": dict(self.arguments)}

    def __str__(self) -> str:
        """In one line: the model may write line breaks into names, to look like a message."""
        shown = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({shown})".replace("\n", "\\n")


def read_calls(
    answer: str, parameters: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Call], str]:
    """The calls in an answer, and the answer without them.

    Args:
        answer: as the model wrote it, thoughts included.
        parameters: names of the parameters of each function, for calls that leave them out
            (`weather("Rome")`). Calls in Python's form outside of any marker must be of these.

    Returns:
        What is not a call in proper form is left in the answer, and is none.
    """
    known = parameters or {}
    end = max((found.end() for found in _THOUGHT_ENDS.finditer(answer)), default=0)
    thoughts, text = answer[:end], answer[end:]
    calls: list[Call] = []

    def take(found: re.Match[str]) -> str:
        block = next(part for part in found.groups() if part is not None)
        read = list(_calls_in(block, known, marked=True))
        calls.extend(read)
        return "" if read else found[0]

    rest = _MARKED.sub(take, text)
    if not calls:
        fence = _FENCE.fullmatch(text.strip())
        calls = list(_calls_in(fence[1] if fence else text, known, marked=False))
        rest = "" if calls else text
    return calls, thoughts + rest


def may_be_calls(text: str) -> bool:
    """Whether an answer that begins so may turn out to be calls without markers."""
    return _BARE.match(text) is not None or _MAYBE_BARE.fullmatch(text) is not None


def _calls_in(text: str, known: Mapping[str, Sequence[str]], *, marked: bool) -> Iterator[Call]:
    text = text.strip()
    if marked and (call := read_gemma_call(text)) is not None:
        yield Call(*call)
        return
    if _NEW_MISTRAL.match(text):
        for part in text.split("[TOOL_CALLS]"):
            if (head := _NEW_MISTRAL.match(part)) and (values := _json_values(part[head.end() :])):
                yield from _from_json({"name": head["name"], "arguments": values[0]}, marked)
        return
    values = _json_values(text)
    if values is not None:
        for value in values:
            for item in value if isinstance(value, list) else [value]:
                yield from _from_json(item, marked)
        return
    for name, arguments, positional in _python_calls(text):
        if name not in known and not marked:
            return
        names = [key for key in known.get(name, ()) if key not in arguments]
        if len(positional) <= len(names):
            yield Call(name, {**dict(zip(names, positional, strict=False)), **arguments})


def _json_values(text: str) -> list[Any] | None:
    """JSON values one after the other (`;`, `,` or white space between); None for other text."""
    decoder = json.JSONDecoder(strict=False)
    values, place = [], 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        values.append(value)
        place = _BETWEEN_VALUES.match(text, place).end()  # type: ignore[union-attr]
    return values


def _from_json(data: Any, marked: bool) -> Iterator[Call]:
    if not isinstance(data, dict):
        return
    function = data.get("function")
    if isinstance(function, dict):
        data = function
    name = data.get("name", function if isinstance(function, str) else None)
    arguments = data.get("arguments", data.get("parameters", {} if marked else None))
    if isinstance(arguments, str):
        # OpenAI's form: an object in a text.
        arguments = next(iter(_json_values(arguments) or [None]))
    if isinstance(name, str) and isinstance(arguments, dict):
        yield Call(name, arguments)


def _python_calls(text: str) -> list[tuple[str, dict[str, Any], list[Any]]]:
    """Name, named and other arguments of each call in `f(x=1)`, `[f(x=1), g()]`, `print(f())`."""
    if not _PYTHON.match(text):
        return []
    calls = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # strange escapes in texts
            body = ast.parse(text).body
        for statement in body:
            value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
            for node in value.elts if isinstance(value, ast.List) else [value]:
                calls.append(_python_call(node))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return calls


def _python_call(node: ast.expr | None) -> tuple[str, dict[str, Any], list[Any]]:
    """One call.

    Raises:
        ValueError: it is something else, or its arguments are no constants.
    """
    if not isinstance(node, ast.Call):
        raise ValueError
    name = ast.unparse(node.func)
    if name == "print" and len(node.args) == 1:
        return _python_call(node.args[0])
    named = {key.arg: _constant(key.value) for key in node.keywords if key.arg}
    if len(named) != len(node.keywords):
        raise ValueError
    # Llama's built-in tools: `brave_search.call(query="...")`.
    return name.removesuffix(".call"), named, [_constant(value) for value in node.args]


def _constant(node: ast.expr) -> Any:
    return ast.literal_eval(_JsonNames().visit(node))


class _JsonNames(ast.NodeTransformer):
    """`true`, `false` and `null` are constants; models mix the two languages."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.id]) if node.id in _CONSTANTS else node
