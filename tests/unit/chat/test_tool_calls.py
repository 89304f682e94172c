"""Function calls as the models of each family write them."""

from __future__ import annotations

from typing import Any

import pytest

from litertlm.services.chat.tool_calls import Call, may_be_calls, read_calls

F = ("f", {"a": 1})
PARAMETERS = {"f": ["a", "b"], "g": []}

ONE = '{"name": "f", "arguments": {"a": 1}}'
FORMS = {
    "qwen": f"<tool_call>\n{ONE}\n</tool_call>",
    "cut off": f"<tool_call>\n{ONE}",
    "granite 3.3": f"<|tool_call|>[{ONE}]",
    "granite 3.0": f"<|tool_call|>{ONE}",
    "phi-4": f"<|tool_call|>[{ONE}]<|/tool_call|>",
    "phi-4, older": '<|tool_call|>[{"type": "function", "function": ' + ONE + "}]<|/tool_call|>",
    "gemma 4": "<|tool_call>call:f{a:1}<tool_call|>",
    "gemma 4, cut off": "<|tool_call>call:f{a:1}",
    "gemma 4, thinking": "<|channel>thought\nHm.<channel|><|tool_call>call:f{a:1}<tool_call|>",
    "function gemma": "<start_function_call>call:f{a:1}<end_function_call>",
    "mistral": f"[TOOL_CALLS] [{ONE}]",
    "mistral with ids": '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}, "id": "call00001"}]',
    "mistral, newer": '[TOOL_CALLS]f[ARGS]{"a": 1}',
    "mistral, with call id": '[TOOL_CALLS]f[CALL_ID]abc123XYZ[ARGS]{"a": 1}</s>',
    "llama": '{"name": "f", "parameters": {"a": 1}}',
    "llama, typed": '{"type": "function", "name": "f", "parameters": {"a": 1}}',
    "llama, other": '{"type": "function", "function": "f", "parameters": {"a": 1}}',
    "llama, tagged": '<|python_tag|>{"name": "f", "parameters": {"a": 1}}',
    "llama, builtin": "<|python_tag|>f.call(a=1)",
    "llama, pythonic": "[f(a=1)]",
    "gemma": "```tool_code\nf(a=1)\n```",
    "gemma, printed": "Let me see.\n```tool_code\nprint(f(a=1))\n```",
    "gemma, python": "```python\nf(1)\n```",
    "smollm3": "<code>\nf(a=1)\n</code>",
    "fenced": f"```json\n{ONE}\n```",
    "arguments in a text": '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>',
    "the marker was dropped": f"[{ONE}]",
    "after thoughts": '<think>{"name": "g", "arguments": {}}</think>\n\n' + ONE,
}


@pytest.mark.parametrize("form", FORMS)
def test_one_call(form: str) -> None:
    calls, rest = read_calls(FORMS[form], PARAMETERS)
    assert [(call.name, call.arguments) for call in calls] == [F]
    assert "f" not in rest.replace("</think>", "").rpartition(">")[2]


@pytest.mark.parametrize(
    "text",
    [
        f'<tool_call>{ONE}</tool_call>\n<tool_call>{{"name": "g", "arguments": {{}}}}</tool_call>',
        f'[TOOL_CALLS] [{ONE}, {{"name": "g", "arguments": {{}}}}]',
        '[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}',
        f'{ONE}; {{"name": "g", "parameters": {{}}}}',
        "[f(a=1), g()]",
        "```tool_code\nf(a=1)\ng()\n```",
        f'<tool_call>[{ONE}, {{"name": "g"}}]',
        "<|tool_call>call:f{a:1}<tool_call|><|tool_call>call:g{}<tool_call|>",
    ],
)
def test_several_calls(text: str) -> None:
    calls, _ = read_calls(text, PARAMETERS)
    assert [(call.name, call.arguments) for call in calls] == [F, ("g", {})]


def test_values_of_python_and_of_json() -> None:
    text = '[f(a={"x": [1, -2.5, None]}, b=true)]'
    (call,), _ = read_calls(text, PARAMETERS)
    assert call.arguments == {"a": {"x": [1, -2.5, None]}, "b": True}
    (call,), _ = read_calls(r"[f(a='C:\d\'s')]", PARAMETERS)
    assert call.arguments == {"a": r"C:\d's"}


def test_values_of_gemma4() -> None:
    text = (
        '<|tool_call>call:f{a:{<|"|>x y<|"|>:[1, -2.5,null],z:true,e:[]},'
        'b:<|"|>{a}, "b":\n<|"|>,c:Rome}<tool_call|>'
    )
    (call,), _ = read_calls(text, PARAMETERS)
    assert call.arguments == {
        "a": {"x y": [1, -2.5, None], "z": True, "e": []},
        "b": '{a}, "b":\n',
        "c": "Rome",
    }


def test_values_of_function_gemma() -> None:
    text = (
        "<start_function_call>call:f{a:<escape>x, {y}<escape>,b:{c:[<escape>z<escape>,true]}}"
        "<end_function_call>"
    )
    (call,), rest = read_calls(text, PARAMETERS)
    assert call.arguments == {"a": "x, {y}", "b": {"c": ["z", True]}}
    assert rest == ""


NO_CALLS: list[Any] = [
    "Just text.",
    '<tool_call>{"name": "f"</tool_call>',
    "<|tool_call>call:f{a:1<tool_call|>",
    "<|tool_call>call:f{a}<tool_call|>",
    "<|tool_call>call:f{a:}<tool_call|>",
    '<|tool_call>call:f{a:<|"|>x}<tool_call|>',
    "<|tool_call>call:f{a:1} and more<tool_call|>",
    "<|tool_call>call:f{a:" + "[" * 5000 + "<tool_call|>",
    '{"answer": 42}',
    '{"name": "Rome"}',
    "[1, 2]",
    "[unknown(a=1)]",
    "[f(a=b)]",
    "[f(a=1) for a in b]",
    "f(1, 2, 3)",
    "The function f(a=1) does it.",
    "```python\nimport os\nf(a=1)\n```",
    "```tool_code\n__import__('os').system('ls')\n```",
    "[" * 5000,
    "",
]


@pytest.mark.parametrize("text", NO_CALLS)
def test_what_is_no_call_stays(text: str) -> None:
    assert read_calls(text, PARAMETERS) == ([], text)


def test_the_text_around_a_call_stays() -> None:
    _, rest = read_calls(f"I look.\n<tool_call>{ONE}</tool_call>", PARAMETERS)
    assert rest == "I look.\n"


@pytest.mark.parametrize("text", ["{", "[", '[{"na', "[f(", "[f", "``", "```too", "<co", " "])
def test_beginnings_of_calls(text: str) -> None:
    assert may_be_calls(text)


@pytest.mark.parametrize("text", ["The", "[1", "[a b", "``x", "f(x", "<b>", "```c\n", "- a"])
def test_beginnings_of_text(text: str) -> None:
    assert not may_be_calls(text)


def test_a_call_is_shown_in_one_line() -> None:
    call = Call("f\n✓ Saved", {"a\nb": "c\nd"})
    assert str(call) == "f\\n✓ Saved(a\\nb='c\\nd')"
