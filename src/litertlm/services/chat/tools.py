"""Function calling: plain Python functions that the model may ask for (forms: tool_calls.py)."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litertlm.errors import LiteRtLmError, UsageError
from litertlm.services.chat.chat import Chat
from litertlm.services.chat.stream import Piece
from litertlm.services.chat.tool_calls import Call, may_be_calls, read_calls
from litertlm.services.chat.tool_limits import (
    ToolInterrupted,
    ToolTimeout,
    argument_error,
    with_time_limit,
)

MAX_CALLS = 32
TIMEOUT_S = 60.0
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
class Toolbox:
    """Functions that the model may call.

    Attributes:
        functions: by name.
        max_calls: for one question, over all rounds.
        timeout_s: of one call.
        rejects: whether a result must not be given to the model.
    """

    functions: Mapping[str, Callable[..., Any]]
    max_calls: int = MAX_CALLS
    timeout_s: float = TIMEOUT_S
    rejects: Callable[[str], object] = lambda result: False

    @property
    def schemas(self) -> tuple[Mapping[str, Any], ...]:
        """What the chat template is given, in the form of transformers' `get_json_schema`."""
        return tuple(_schema(function) for function in self.functions.values())

    @property
    def parameters(self) -> Mapping[str, Sequence[str]]:
        """The names of each function's parameters, in order."""
        return tool_parameters(self.schemas)

    def call(self, call: Call) -> str:
        """The result as text: JSON, or an error for the model to read.

        Raises:
            KeyboardInterrupt: a subclass of it, from a signal.
        """
        function = self.functions.get(call.name)
        if function is None:
            return _error(f"there is no function {call.name}")
        if wrong := argument_error(function, call.arguments):
            return _error(wrong)
        try:
            result = with_time_limit(lambda: function(**call.arguments), self.timeout_s)
            text = result if isinstance(result, str) else json.dumps(result, default=str)
        except ToolTimeout:
            return _error(f"it took longer than {self.timeout_s:g} seconds")
        except BaseException as error:  # also sys.exit() in the user's code
            if isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt:
                raise
            return _error(f"{type(error).__name__}: {error}")
        text = text.encode("utf-8", "replace").decode()
        if self.rejects(text):
            return _error("its result contains control tokens, which are rejected")
        return text


def tool_parameters(schemas: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    """The names of the parameters in schemas of functions, in order, by function."""
    functions = [schema["function"] for schema in schemas]
    return {
        function["name"]: list((function.get("parameters") or {}).get("properties") or ())
        for function in functions
    }


def _error(message: str) -> str:
    return json.dumps({"error": message})


def load_tools(path: Path, *, max_calls: int = MAX_CALLS, timeout_s: float = TIMEOUT_S) -> Toolbox:
    """The functions that a Python file defines and that have docstrings.

    Args:
        max_calls, timeout_s: see `Toolbox`.

    Raises:
        UsageError: the file cannot be run, or has none.
    """
    spec = importlib.util.spec_from_file_location("litert_lm_tools", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
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
    toolbox = Toolbox(functions, max_calls, timeout_s)
    try:
        _ = toolbox.schemas
    except Exception as error:
        raise UsageError(
            f"{path} has a function that cannot be described.",
            why=f"{type(error).__name__}: {error}",
            hint="The types of its parameters must be known where it is defined.",
        ) from error
    return toolbox


def answer_with_tools(
    chat: Chat,
    toolbox: Toolbox,
    allow: Callable[[Call], bool],
    running: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Piece]:
    """Like `Chat.proceed`, calling what the model asks for and going on with the results.

    Args:
        allow: asked before each call; the model gets a refusal as the call's result.
        running: entered while a function runs. A ToolInterrupted there ends the function only.

    Raises:
        LiteRtLmError: as `Chat.proceed`, or the chat template has no place for calls and their
            results; nothing of the question, calls and results is kept then.
    """
    asked, left = len(chat.messages) - 1, toolbox.max_calls
    for _ in range(_MOST_ROUNDS):
        try:
            yield from split_calls(chat.proceed(), toolbox.parameters)
        except LiteRtLmError:
            del chat.messages[asked:]
            raise
        if not chat.messages or chat.messages[-1]["role"] != "assistant":
            return
        if chat.last is None or chat.last.finish_reason == "interrupted":
            return
        answer = chat.messages.pop()
        calls, rest = read_calls(answer["content"], toolbox.parameters)
        if not calls:
            chat.messages.append(answer)
            return
        made = [(call, _result(toolbox, call, allow, running)) for call in calls[:left]]
        if len(calls) > left:
            skipped = len(calls) - left
            why = f"The limit of {toolbox.max_calls} function calls for one question is reached"
            chat.notice(f"{why}: {skipped} of {len(calls)} calls were not made.")
            made.append((calls[left], _error(f"{why}. Answer with the results that you have.")))
        left -= min(left, len(calls))
        before = list(chat.messages)
        chat.messages.extend(_as_messages(rest.strip(), [made], len(before)))
        if len(made) > 1 and not _renders(chat):
            # Some templates (Llama 3) know one call a turn only.
            chat.messages[:] = [
                *before,
                *_as_messages(rest.strip(), [[one] for one in made], len(before)),
            ]
    chat.notice(f"Giving up after {_MOST_ROUNDS} tool rounds.")


def _result(
    toolbox: Toolbox,
    call: Call,
    allow: Callable[[Call], bool],
    running: Callable[[], AbstractContextManager[None]],
) -> str:
    if not allow(call):
        return _error("the user did not allow it")
    try:
        with running():
            return toolbox.call(call)
    except ToolInterrupted:
        return _error("the user interrupted it")


def split_calls(
    pieces: Iterator[Piece], parameters: Mapping[str, Sequence[str]]
) -> Iterator[Piece]:
    """The pieces, but not text that turns out to be nothing but calls.

    Args:
        parameters: see `tool_parameters`.
    """
    held: list[Piece] = []
    shown = False
    for piece in pieces:
        if piece.kind != "text" or shown:
            yield piece
            continue
        held.append(piece)
        if not may_be_calls("".join(part.text for part in held)):
            shown = True
            yield from held
    if not shown and not read_calls("".join(part.text for part in held), parameters)[0]:
        yield from held


def _as_messages(
    text: str, turns: Sequence[Sequence[tuple[Call, str]]], number: int
) -> Iterator[dict[str, Any]]:
    """Turns with calls, each followed by the results. Mistral wants ids of nine characters."""
    for turn in turns:
        ids = [f"call{number + place:05}" for place in range(len(turn))]
        yield {
            "role": "assistant",
            "content": text,
            "tool_calls": [
                {"id": id_, "type": "function", "function": call.fields}
                for id_, (call, _) in zip(ids, turn, strict=True)
            ],
        }
        for id_, (call, result) in zip(ids, turn, strict=True):
            yield {"role": "tool", "name": call.name, "tool_call_id": id_, "content": result}
        text, number = "", number + len(turn)


def _renders(chat: Chat) -> bool:
    try:
        chat.prompt_text()
    except LiteRtLmError:
        return False
    return True


def _schema(function: Callable[..., Any]) -> Mapping[str, Any]:
    described, arguments = _docstring(function)
    hints = typing.get_type_hints(function)
    properties, required = {}, []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
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
