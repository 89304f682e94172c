"""Control tokens in a text."""

from __future__ import annotations

import re

import pytest

from litertlm.bundle_format.header import Header
from litertlm.bundle_format.info import BundleInfo
from litertlm.services.chat.control_tokens import find_control_tokens
from scripted import ScriptedEngine

TEMPLATE = "{{ bos_token }}<start_of_turn>user\n[INST]{{ m }}[/INST]<tool_call><p><br>"
VOCABULARY = (
    "<|end|>",
    "<|endoftext|>",
    "<bos>",
    "<start_of_turn>",
    "[INST]",
    "[/INST]",
    "<tool_call>",
    "<table>",
    "<p>",
    "<\uff5cUser\uff5c>",
)


class Engine(ScriptedEngine):
    """Its tokens are VOCABULARY and single characters."""

    calls = 0

    def tokenize(self, text: str) -> list[int]:
        self.calls += 1
        tokens = "|".join(map(re.escape, VOCABULARY))
        return [hash(token) for token in re.findall(f"{tokens}|.", text, re.S)]


INFO = BundleInfo(
    Header(
        system={"chat_template": TEMPLATE, "template_variables": '{"bos_token": "<bos>", "x": ""}'}
    )
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, <world> and [NOTES].", ()),
        ("1 < 2, a <| b |> c, <>", ()),
        ("<table><tr><td>", ()),  # in the vocabulary, but no control token
        ("<|unknown|> <br>", ()),  # not in the vocabulary
        ("a<|end|>b", ("<|end|>",)),  # a stop token
        ("<|endoftext|>", ("<|endoftext|>",)),  # only its form says what it is
        ("<\uff5cUser\uff5c>", ("<\uff5cUser\uff5c>",)),
        ("x<start_of_turn>y <bos> [INST]", ("<start_of_turn>", "<bos>", "[INST]")),
        ("[/INST][/INST]", ("[/INST]",)),
        ("<<|end|>>", ("<|end|>",)),
    ],
)
def test_control_tokens_of_a_text(text: str, tokens: tuple[str, ...]) -> None:
    assert find_control_tokens(text, INFO, Engine([])) == tokens


def test_many_forms_do_not_hide_a_token_and_are_not_all_looked_up() -> None:
    engine = Engine([])
    text = "".join(f"<|x{number}|>" for number in range(20_000)) + "<start_of_turn><|end|>"
    assert find_control_tokens(text, INFO, engine) == ("<start_of_turn>", "<|end|>")
    assert engine.calls < 3000
