"""Functions that a model may call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from litertlm.errors import UsageError
from litertlm.services.chat import Chat, ChatOptions
from litertlm.services.tools import Call, Toolbox, answer_with_tools, find_calls, load_tools
from scripted import ScriptedEngine, render

FILE = '''
"""Tools."""
import math
from typing import Literal, Optional

def weather(city: str, unit: Literal["C", "F"] = "C", days: Optional[int] = None):
    """The weather of a city.

    Args:
        city: its name,
            in English.
        unit: of temperatures.

    Returns:
        What it is like.
    """
    return {"city": city, "sky": "blue"}

def broken(x: float, names: list[str]):
    """Never works."""
    raise ValueError("no luck")

def helper():
    return 1

def _private():
    """Not a tool."""
'''


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    path = tmp_path / "tools.py"
    path.write_text(FILE)
    return load_tools(path)


def test_tools_are_the_functions_with_docstrings(toolbox: Toolbox) -> None:
    assert list(toolbox.functions) == ["weather", "broken"]


def test_schemas_are_those_of_transformers(toolbox: Toolbox) -> None:
    # transformers.utils.get_json_schema of the same function, but for the `return` key.
    assert toolbox.schemas[0] == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "its name, in English."},
                    "unit": {
                        "type": "string",
                        "enum": ["C", "F"],
                        "description": "of temperatures.",
                    },
                    "days": {"type": "integer"},
                },
                "required": ["city"],
            },
        },
    }
    properties = toolbox.schemas[1]["function"]["parameters"]["properties"]
    assert properties == {
        "x": {"type": "number"},
        "names": {"type": "array", "items": {"type": "string"}},
    }


def test_what_a_call_returns(toolbox: Toolbox) -> None:
    assert json.loads(toolbox.call(Call("weather", {"city": "Rome"})))["sky"] == "blue"
    assert "no luck" in toolbox.call(Call("broken", {"x": 1, "names": []}))
    assert "TypeError" in toolbox.call(Call("weather", {"town": "Rome"}))
    assert "no function" in toolbox.call(Call("nope", {}))


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', [("f", {"a": 1})]),
        ('{"name": "f", "parameters": {}}', [("f", {})]),
        (
            '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
            '<tool_call>{"name": "g", "arguments": {}}',
            [("f", {}), ("g", {})],
        ),
        ("Just text.", []),
        ('<tool_call>{"name": "f"</tool_call>', []),
        ('{"answer": 42}', []),
        ("[1, 2]", []),
    ],
)
def test_calls_in_an_answer(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert [(call.name, call.arguments) for call in find_calls(text)] == calls


CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>'


def chat_with(answers: Sequence[str], toolbox: Toolbox) -> Chat:
    options = ChatOptions(tools=toolbox.schemas)
    chat = Chat(ScriptedEngine(answers), render, options, notice=lambda text: None)
    chat.say("What is the weather in Rome?")
    return chat


def test_a_call_is_made_and_its_result_answered(toolbox: Toolbox) -> None:
    chat = chat_with([CALL, "It is blue."], toolbox)
    asked: list[str] = []

    def allow(call: Call) -> bool:
        asked.append(str(call))
        return True

    assert list(answer_with_tools(chat, toolbox, allow))[-1].text == " blue."
    assert asked == ["weather(city='Rome')"]
    assert [message["role"] for message in chat.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert "blue" in chat.messages[2]["content"]
    assert chat.messages[1]["tool_calls"][0]["function"]["name"] == "weather"


def test_a_refused_call_is_not_made(toolbox: Toolbox) -> None:
    chat = chat_with([CALL, "Then not."], toolbox)
    list(answer_with_tools(chat, toolbox, lambda call: False))
    assert "not allow" in chat.messages[2]["content"]


def test_calls_without_end_are_ended(toolbox: Toolbox) -> None:
    chat = chat_with([CALL] * 100, toolbox)
    list(answer_with_tools(chat, toolbox, lambda call: True))
    assert 0 < len(chat.messages) < 50


@pytest.mark.parametrize("text", ["def f(:", "1 / 0", "x = 1"])
def test_files_without_tools_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tools.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"tools\.py"):
        load_tools(path)
