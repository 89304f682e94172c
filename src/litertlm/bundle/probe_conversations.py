"""The conversations with which an adapted template is compared with the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = Mapping[str, Any]

ANSWER = "The answer is 42."
THOUGHT = "The user wants a number.\nIt is 42."
TOOL_NAME = "get_weather"
CALL_ID = "a1b2c3d4e"

TOOLS: tuple[Mapping[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": TOOL_NAME,
            "description": 'Get the weather of a "city" & its <area>.',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name, e.g. Zürich or 東京"},
                    "days": {"type": "integer", "minimum": 1, "default": 3},
                    "units": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "now",
            "description": "The time.\nIn UTC.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
)

TEXTS = (
    "Hello, how are you?",
    "  leading, trailing and   inner spaces \t ",
    "\n\nlines\n\n\nof text\r\n",
    "quotes ' \" ` and \\ backslashes \\n, tabs\t, braces {{ x }} {% y %} {# z #}, <b>&amp;</b>",
    "<|im_start|>system\nnot really<|im_end|> <start_of_turn> [INST] </s> <eos> <|eot_id|>",
    "Schöne Grüße, çà et là, ñandú, Привет мир, γειά σου Κόσμε, Xin chào thế giới",
    "你好,世界! こんにちは世界 안녕하세요 세계 नमस्ते दुनिया สวัสดีชาวโลก",
    "مرحبا بالعالم שלום עולם سلام دنیا ሰላም ልዑል မင်္ဂလာပါ ജയ് გამარჯობა բարև",
    "👩‍👩‍👧‍👦 🇨🇭 ☕️ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u200b\u200d\ufeff e\u0301 é",
    "def f(x):\n    return {'a': [1, 2.5, None], \"b\": x ** 2}  # <think>not a thought</think>",
    "",
)


@dataclass(frozen=True)
class Conversation:
    """A conversation and how it is rendered.

    Attributes:
        messages: contents as strings.
        tools: JSON schemas, or None.
        arguments: more template variables, such as `enable_thinking`.
    """

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def user(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Message:
    """An assistant's message."""
    return {"role": "assistant", "content": text, **more}


def system(text: str) -> Message:
    """A system message."""
    return {"role": "system", "content": text}


def tool_result(text: str) -> Message:
    """A tool's result."""
    return {"role": "tool", "name": TOOL_NAME, "tool_call_id": CALL_ID, "content": text}


def tool_call(**arguments: Any) -> Mapping[str, Any]:
    """An entry of `tool_calls`."""
    function = {"name": TOOL_NAME, "arguments": arguments}
    return {"type": "function", "id": CALL_ID, "function": function}


def thinking(thought: str, answer: str) -> str:
    """An answer after its thoughts, in the format of the Qwen3 family."""
    return f"<think>\n{thought}\n</think>\n\n{answer}"


def plain_conversations() -> list[Conversation]:
    """Without tools or thoughts: single and multi-turn, with and without a system message."""
    found = [Conversation([user(text)]) for text in TEXTS]
    found += [Conversation([system(text), user("Hi")]) for text in TEXTS]
    for text in TEXTS:
        chat = [user("Hi"), assistant(text), user(text)]
        found.append(Conversation(chat))
        found.append(Conversation([system("Be brief."), *chat, assistant("Yes."), user("Bye")]))
    return found


def thinking_conversations() -> list[Conversation]:
    """Thinking on, off and by default, with thoughts in the history."""
    verbatim = [
        user("One?"),
        assistant(thinking(THOUGHT, ANSWER)),
        user("Two?"),
        assistant(thinking("Again.", "Still 42.")),
        user("Three?"),
    ]
    apart = [
        system("Think."),
        user("One?"),
        assistant(ANSWER, reasoning_content=THOUGHT),
        user("Two?"),
    ]
    histories = ([user("One?")], [system("Be brief."), user("One?")], verbatim, apart)
    settings: tuple[Mapping[str, Any], ...] = (
        {},
        {"enable_thinking": True},
        {"enable_thinking": False},
    )
    return [Conversation(h, arguments=s) for h in histories for s in settings]


def probe_conversations(*, tools: bool) -> list[Conversation]:
    """All of them; those with tools only if the template supports tools."""
    found = plain_conversations() + thinking_conversations()
    return found + tool_conversations() if tools else found


def tool_conversations() -> list[Conversation]:
    """Tool definitions, calls and results."""
    call = assistant("", tool_calls=[tool_call(city="Zürich", days=2)])
    said = assistant("I will look.", tool_calls=[tool_call(city="\"A'\\", days=1), tool_call()])
    result = tool_result('{"temp": 21.5, "sky": "clear & <bright>"}')
    plain = [user("Weather in Zürich?")]
    once = [*plain, call, result]
    twice = [system("Use tools."), *plain, said, result, tool_result("none"), assistant("21.5")]
    return [
        Conversation(plain, TOOLS),
        Conversation([system("Be brief."), *plain], TOOLS),
        Conversation(plain, TOOLS, {"enable_thinking": False}),
        Conversation(once, TOOLS),
        Conversation([*once, assistant("It is 21.5 degrees."), user("And now?")], TOOLS),
        Conversation([*twice, user("Thanks")], TOOLS),
    ]
