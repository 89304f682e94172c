"""Function calling: plain Python functions that the model may ask for.

The calls are read in the form that most open models write (`<tool_call>{"name": ...,
"arguments": {...}}</tool_call>`, from NousResearch's Hermes function calling; Qwen's templates
use it too) and in the bare JSON form of Llama 3.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litertlm.errors import UsageError
from litertlm.services.chat import Chat
from litertlm.services.chat_stream import CALL_MARKERS, Piece

_CALL = re.compile(
    re.escape(CALL_MARKERS[0]) + r"(.*?)(?:" + re.escape(CALL_MARKERS[1]) + r"|\Z)", re.S
)
_MOST_ROUNDS = 8
_JSON_TYPES: Mapping[Any, str] = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "string",
    list: "array",
    dict: "object",
}


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
        shown = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({shown})"


@dataclass(frozen=True)
class Toolbox:
    """Functions by name."""

    functions: Mapping[str, Callable[..., Any]]

    @property
    def schemas(self) -> tuple[Mapping[str, Any], ...]:
        """What the chat template is given, in the form of transformers' `get_json_schema`."""
        return tuple(_schema(function) for function in self.functions.values())

    def call(self, call: Call) -> str:
        """The result as text: JSON, or an error for the model to read."""
        function = self.functions.get(call.name)
        if function is None:
            return json.dumps({"error": f"there is no function {call.name}"})
        try:
            result = function(**call.arguments)
        except Exception as error:  # noqa: BLE001 - the user's code; the model and the user see it
            return json.dumps({"error": f"{type(error).__name__}: {error}"})
        return result if isinstance(result, str) else json.dumps(result, default=str)


def load_tools(path: Path) -> Toolbox:
    """The functions that a Python file defines and that have docstrings.

    Raises:
        UsageError: the file cannot be run, or has none.
    """
    spec = importlib.util.spec_from_file_location("litert_lm_tools", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be run.", why=f"{type(error).__name__}: {error}"
        ) from error
    functions = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and value.__doc__
        and not name.startswith("_")
    }
    if not functions:
        raise UsageError(
            f"{path} has no tools.", why="A tool is a function with a docstring, at the top level."
        )
    return Toolbox(functions)


def find_calls(text: str) -> list[Call]:
    """The calls in a model's answer; what is not a call in proper form is none."""
    found = []
    blocks = _CALL.findall(text) or [text]
    for block in blocks:
        try:
            data = json.loads(block)
        except ValueError:
            continue
        arguments = (
            data.get("arguments", data.get("parameters")) if isinstance(data, dict) else None
        )
        if isinstance(arguments, dict) and isinstance(data.get("name"), str):
            found.append(Call(data["name"], arguments))
    return found


def answer_with_tools(
    chat: Chat, toolbox: Toolbox, allow: Callable[[Call], bool]
) -> Iterator[Piece]:
    """Like `Chat.proceed`, calling what the model asks for and going on with the results.

    Args:
        allow: asked before each call; a refused one is told to the model as such.
    """
    for _ in range(_MOST_ROUNDS):
        yield from chat.proceed()
        if not chat.messages or chat.messages[-1]["role"] != "assistant":
            return
        message = chat.messages[-1]
        calls = find_calls(message["content"])
        if not calls:
            return
        message["content"] = _CALL.sub("", message["content"]).strip()
        message["tool_calls"] = [{"type": "function", "function": call.fields} for call in calls]
        for call in calls:
            result = toolbox.call(call) if allow(call) else '{"error": "the user did not allow it"}'
            chat.messages.append({"role": "tool", "name": call.name, "content": result})


def _schema(function: Callable[..., Any]) -> Mapping[str, Any]:
    described, arguments = _docstring(function)
    hints = typing.get_type_hints(function)
    properties, required = {}, []
    for name, parameter in inspect.signature(function).parameters.items():
        properties[name] = _json_type(hints.get(name, str))
        if name in arguments:
            properties[name]["description"] = arguments[name]
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": described,
            "parameters": {"type": "object", "properties": properties, "required": required},
        },
    }


def _json_type(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        kinds = [_json_type(part) for part in arguments if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is list and arguments:
        return {"type": "array", "items": _json_type(arguments[0])}
    return {"type": _JSON_TYPES.get(origin or hint, "string")}


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The description, and each argument's from the `Args:` section (Google's style)."""
    text = inspect.getdoc(function) or ""
    described, _, rest = text.partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", rest, maxsplit=1)[0]
    found = re.findall(r"^\s+(\w+)(?: *\([^)]*\))?: *(.*(?:\n {8,}.*)*)", section, re.M)
    return described.strip(), {name: " ".join(words.split()) for name, words in found}
