"""Functions that a model may call."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from litertlm.errors import UsageError
from litertlm.services.chat.chat import Chat, ChatOptions
from litertlm.services.chat.tool_calls import Call
from litertlm.services.chat.tool_limits import ToolInterrupted
from litertlm.services.chat.tools import Toolbox, answer_with_tools, load_tools
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


def test_arguments_without_names_are_not_described(tmp_path: Path) -> None:
    path = tmp_path / "tools.py"
    path.write_text('def f(a, *more, **named):\n    """Does."""\n')
    (schema,) = load_tools(path).schemas
    assert list(schema["function"]["parameters"]["properties"]) == ["a"]


def test_what_a_call_returns(toolbox: Toolbox) -> None:
    assert json.loads(toolbox.call(Call("weather", {"city": "Rome"})))["sky"] == "blue"
    assert "no luck" in toolbox.call(Call("broken", {"x": 1, "names": []}))
    assert "TypeError" in toolbox.call(Call("weather", {"town": "Rome"}))
    assert "no function" in toolbox.call(Call("nope", {}))


CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>'


def chat_with(
    answers: Sequence[str], toolbox: Toolbox, notice: Callable[[str], None] = print
) -> Chat:
    options = ChatOptions(tools=toolbox.schemas)
    chat = Chat(ScriptedEngine(answers), render, options, notice=notice)
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
    # Mistral's template demands ids of nine characters, the same on both sides.
    (call,) = chat.messages[1]["tool_calls"]
    assert len(call["id"]) == 9
    assert chat.messages[2]["tool_call_id"] == call["id"]
    assert chat.messages[1]["tool_calls"][0]["function"]["name"] == "weather"


def test_a_refused_call_is_not_made(toolbox: Toolbox) -> None:
    chat = chat_with([CALL, "Then not."], toolbox)
    list(answer_with_tools(chat, toolbox, lambda call: False))
    assert "not allow" in chat.messages[2]["content"]


BARE = '{"name": "weather", "parameters": {"city": "Rome"}}'


@pytest.mark.parametrize("form", [BARE, f"```json\n{BARE}\n```", '[weather(city="Rome")]'])
def test_an_answer_that_is_nothing_but_a_call_is_not_shown(toolbox: Toolbox, form: str) -> None:
    chat = chat_with([form, "It is blue."], toolbox)
    shown = "".join(piece.text for piece in answer_with_tools(chat, toolbox, lambda call: True))
    assert shown == "It is blue."
    assert chat.messages[1]["content"] == ""


@pytest.mark.parametrize("text", ['{"sky": "blue"}', "[a list] of words", "[f(x)] is a term", "["])
def test_an_answer_that_only_looks_like_a_call_is_shown(toolbox: Toolbox, text: str) -> None:
    chat = chat_with([text], toolbox)
    pieces = list(answer_with_tools(chat, toolbox, lambda call: True))
    assert "".join(piece.text for piece in pieces) == text == chat.messages[1]["content"]


def test_text_streams_as_soon_as_it_cannot_be_a_call(toolbox: Toolbox) -> None:
    chat = chat_with(["[one two three four"], toolbox)
    pieces = answer_with_tools(chat, toolbox, lambda call: True)
    assert [next(pieces).text for _ in range(3)] == ["[one", " two", " three"]


def test_a_template_that_knows_one_call_a_turn_gets_one_a_turn(toolbox: Toolbox) -> None:
    def single(messages: Sequence[dict[str, Any]], **more: Any) -> str:
        if any(len(message.get("tool_calls", ())) > 1 for message in messages):
            raise UsageError("This model only supports single tool-calls at once!")
        return render(messages)

    options = ChatOptions(tools=toolbox.schemas)
    engine = ScriptedEngine([CALL + CALL, "Blue twice."])
    chat = Chat(engine, single, options, notice=lambda text: None)
    chat.say("Rome and Rome?")
    list(answer_with_tools(chat, toolbox, lambda call: True))
    roles = [message["role"] for message in chat.messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert chat.messages[1]["tool_calls"][0]["id"] != chat.messages[3]["tool_calls"][0]["id"]


def test_a_template_without_a_place_for_results_loses_the_question_only(toolbox: Toolbox) -> None:
    def strict(messages: Sequence[dict[str, Any]], **more: Any) -> str:
        if any(message["role"] == "tool" for message in messages):
            raise UsageError("Conversation roles must alternate user/assistant")
        return render(messages)

    options = ChatOptions(tools=toolbox.schemas)
    chat = Chat(ScriptedEngine(["Hello.", CALL]), strict, options, notice=lambda text: None)
    for text in ("Hi", "What is the weather in Rome?"):
        chat.say(text)
        if text == "Hi":
            list(answer_with_tools(chat, toolbox, lambda call: True))
    with pytest.raises(UsageError, match="must alternate"):
        list(answer_with_tools(chat, toolbox, lambda call: True))
    assert [message["content"] for message in chat.messages] == ["Hi", "Hello."]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ToolInterrupted, "the user interrupted it"),
        (KeyboardInterrupt, "KeyboardInterrupt: by itself"),
        (SystemExit, "SystemExit: by itself"),
    ],
)
def test_an_interrupted_function_is_told_to_the_model(
    toolbox: Toolbox, error: type[BaseException], result: str
) -> None:
    def interrupted(city: str) -> str:
        raise error("by itself")

    chat = chat_with([CALL, "Then not."], toolbox)
    box = Toolbox({"weather": interrupted})
    list(answer_with_tools(chat, box, lambda call: True))
    assert json.loads(chat.messages[2]["content"]) == {"error": result}


def test_a_signal_ends_the_function_and_the_program(toolbox: Toolbox) -> None:
    class Terminated(KeyboardInterrupt):
        pass

    def interrupted(city: str) -> str:
        raise Terminated

    chat = chat_with([CALL, "Then not."], toolbox)
    with pytest.raises(Terminated):
        list(answer_with_tools(chat, Toolbox({"weather": interrupted}), lambda call: True))


def test_calls_without_end_are_ended_and_that_is_told(toolbox: Toolbox) -> None:
    told: list[str] = []
    chat = chat_with([CALL] * 100, toolbox, told.append)
    list(answer_with_tools(chat, toolbox, lambda call: True))
    assert 0 < len(chat.messages) < 50
    assert len(told) == 1
    assert "8 tool rounds" in told[0]


@pytest.mark.parametrize(
    "text",
    [
        "def f(:",
        "1 / 0",
        "x = 1",
        "raise SystemExit(3)",
        'def f(x: "Unknown"):\n    """Does."""',
    ],
)
def test_files_without_tools_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tools.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"tools\.py"):
        load_tools(path)


def box_of(tmp_path: Path, text: str, **limits: Any) -> Toolbox:
    path = tmp_path / "tools.py"
    path.write_text(text)
    return load_tools(path, **limits)


ENDS = """
import asyncio
import sys

class Unprintable:
    def __repr__(self):
        raise ValueError("no text")

def leave(city: str):
    \"\"\"Exits.\"\"\"
    sys.exit(3)

def cancel(city: str):
    \"\"\"Is cancelled.\"\"\"
    raise asyncio.CancelledError

def circle(city: str):
    \"\"\"Returns a list that contains itself.\"\"\"
    result = []
    result.append(result)
    return result

def unprintable(city: str):
    \"\"\"Returns an object without a text.\"\"\"
    return Unprintable()

def half(city: str):
    \"\"\"Returns half of a surrogate pair.\"\"\"
    return chr(0xD800)
"""


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("leave", "SystemExit: 3"),
        ("cancel", "CancelledError"),
        ("circle", "ValueError"),
        ("unprintable", "no text"),
        ("half", "?"),
    ],
)
def test_whatever_a_function_does_is_a_result_for_the_model(
    tmp_path: Path, name: str, result: str
) -> None:
    box = box_of(tmp_path, ENDS)
    call = f'<tool_call>{{"name": "{name}", "arguments": {{"city": "Rome"}}}}</tool_call>'
    chat = chat_with([call, "Then not."], box)
    list(answer_with_tools(chat, box, lambda call: True))
    assert result in chat.messages[2]["content"]
    chat.messages[2]["content"].encode()


SLOW = """
import time

def sleep():
    \"\"\"Waits.\"\"\"
    time.sleep(60)

def spin():
    \"\"\"Computes, and ignores errors.\"\"\"
    while True:
        try:
            while True:
                pass
        except Exception:
            pass
"""


@pytest.mark.parametrize("name", ["sleep", "spin"])
def test_a_function_that_takes_too_long_is_stopped(tmp_path: Path, name: str) -> None:
    before = signal.getsignal(signal.SIGALRM)
    box = box_of(tmp_path, SLOW, timeout_s=0.1)
    assert "longer than 0.1 seconds" in box.call(Call(name, {}))
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


TYPED = """
from typing import Literal, Optional, Union

def typed(n: int = 0, x: float = 0, flag: bool = False, kind: Literal["a", 1] = "a",
          names: list[str] = [], table: dict[str, int] = {}, maybe: Optional[int] = None,
          either: Union[int, str] = 0, unset: int = None, any_=None):
    \"\"\"Takes many types.\"\"\"
    return "called"
"""


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 1, "x": 1, "flag": True, "kind": 1, "names": ["a"], "table": {"a": 1}},
        {"x": 1.5, "maybe": None, "either": "a", "unset": None, "any_": {"a": [1]}},
        {"maybe": 3, "either": 3, "names": [], "table": {}},
    ],
)
def test_arguments_of_the_annotated_types_are_accepted(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    assert box_of(tmp_path, TYPED).call(Call("typed", arguments)) == "called"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "1"),
        ("n", True),
        ("n", 1.5),
        ("n", None),
        ("x", "1.5"),
        ("flag", 1),
        ("kind", "b"),
        ("kind", True),
        ("names", "a"),
        ("names", ["a", 1]),
        ("table", {"a": "b"}),
        ("maybe", "x"),
        ("either", [1]),
        ("other", 1),
    ],
)
def test_arguments_of_other_types_are_an_error_for_the_model(
    tmp_path: Path, name: str, value: Any
) -> None:
    error = json.loads(box_of(tmp_path, TYPED).call(Call("typed", {name: value})))["error"]
    assert "TypeError" in error
    assert f"'{name}'" in error


def test_calls_beyond_the_limit_are_not_made(toolbox: Toolbox) -> None:
    told: list[str] = []
    made: list[Call] = []
    box = Toolbox(toolbox.functions, max_calls=3)
    chat = chat_with([CALL * 2, CALL * 20_000, CALL, "Blue."], box, told.append)

    def allow(call: Call) -> bool:
        made.append(call)
        return True

    list(answer_with_tools(chat, box, allow))
    assert len(made) == 3
    results = [message["content"] for message in chat.messages if message["role"] == "tool"]
    assert ["limit" in result for result in results] == [False, False, False, True, True]
    assert "19999 of 20000 calls were not made" in told[0]
    assert chat.messages[-1]["content"] == "Blue."


def test_results_with_control_tokens_can_be_rejected(toolbox: Toolbox) -> None:
    box = Toolbox(toolbox.functions, rejects=lambda result: "<|end|>" in result)
    assert "control tokens" in box.call(Call("weather", {"city": "<|end|>"}))
    assert "blue" in box.call(Call("weather", {"city": "Rome"}))
