"""What the runtime's model type changes for a program that uses its Conversation."""

from __future__ import annotations

from pathlib import Path

import litert_lm

from converted import write_bundle
from litertlm.services.convert.options import ConvertOptions
from tiny import MODELS, write_checkpoint

# It reads the fields of tools and arguments, as FunctionGemma's own template does.
TEMPLATE = (
    "{% if tools %}{% for tool in tools %}<start_function_declaration>"
    "{{ tool['function']['name'] }}<end_function_declaration>{% endfor %}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}"
    "{% for call in m.tool_calls %}<start_function_call>call:{{ call['function']['name'] }}"
    "{{ '{' }}city:<escape>{{ call['function']['arguments']['city'] }}<escape>{{ '}' }}"
    "<end_function_call>{% endfor %}"
    "<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}


def weather(city: str) -> str:
    """The weather in a city."""
    return city


def test_function_gemmas_own_template_gets_tools_as_objects(tmp_path: Path) -> None:
    model = next(model for name, model in MODELS.items() if name.startswith("gemma3_text"))
    folder = write_checkpoint(model, tmp_path / "checkpoint", chat_template=TEMPLATE)
    bundle = write_bundle(
        folder, tmp_path / "tiny.litertlm", ConvertOptions(recipe="none", kv_cache_max_len=128)
    )
    asked = {"role": "user", "content": "hi"}
    with litert_lm.Engine(
        str(bundle), litert_lm.Backend.CPU(), max_num_tokens=128, cache_dir=str(tmp_path)
    ) as engine:
        with engine.create_conversation(messages=[], tools=[weather]) as conversation:
            text = conversation.render_message_to_string(asked)
        begin = "<start_function_declaration>weather<end_function_declaration>"
        begin += "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>"
        assert text.removeprefix("<bos>") == f"{begin}model\n"
        messages = [asked, {"role": "assistant", "tool_calls": [CALL]}]
        with engine.create_conversation(messages=messages, tools=[weather]) as conversation:
            text = conversation.render_message_to_string({"role": "user", "content": "and?"})
    assert "<start_function_call>call:weather{city:<escape>Rome<escape>}<end_function_call>" in text
