"""Conversations on a scripted engine: what the model is sent, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from litertlm.errors import UsageError
from litertlm.runtime.engine import Decoding
from litertlm.services.chat.chat import Chat, ChatOptions
from scripted import STOP, ScriptedEngine, render

THINKS = {"thinking": ("<think>", "</think>")}


class Talk:
    """A chat, its engine and what it noticed."""

    def __init__(
        self, *answers: str, context: int = 1000, render: Any = render, **options: Any
    ) -> None:
        self.engine = ScriptedEngine(answers, context)
        self.notices: list[str] = []
        self.chat = Chat(self.engine, render, ChatOptions(**options), notice=self.notices.append)

    def say(self, text: str) -> str:
        self.chat.say(text)
        return "".join(piece.text for piece in self.chat.proceed() if piece.kind == "text")

    @property
    def given(self) -> list[list[str]]:
        return [session.given for session in self.engine.sessions]


def test_each_turn_prefills_only_what_is_new() -> None:
    talk = Talk("Hello you", "Fine")
    assert talk.say("Hi") == "Hello you"
    assert talk.say("How are you?") == "Fine"
    assert talk.given == [[f"user: Hi{STOP} assistant: ", f" user: How are you?{STOP} assistant: "]]
    assert talk.chat.last is not None
    assert talk.chat.last.reused_tokens > 0


def test_the_session_has_seen_the_rendered_history() -> None:
    talk = Talk("Hello you", "Fine", "Bye")
    for text in ("Hi", "How are you?", "Leave"):
        talk.say(text)
    (given,) = talk.given
    seen = given[0] + "Hello you" + STOP + given[1] + "Fine" + STOP + given[2]
    assert seen == render(talk.chat.messages[:-1])


def test_an_edited_history_is_prefilled_anew() -> None:
    talk = Talk("One", "Two", "Three")
    talk.say("a")
    talk.say("b")
    assert talk.chat.undo() == {"role": "user", "content": "b"}
    talk.say("c")
    assert talk.given[0][1:] == [f" user: b{STOP} assistant: "]
    assert talk.given[1] == [render([*talk.chat.messages[:2], {"role": "user", "content": "c"}])]


def test_a_template_that_rewrites_earlier_turns_is_prefilled_anew() -> None:
    def forgetful(messages: Sequence[dict[str, Any]], **more: Any) -> str:
        kept = [
            {**m, "content": m["content"].split("</think>")[-1]} if m["role"] == "assistant" else m
            for m in messages
        ]
        return render(kept)

    talk = Talk("<think>hm</think>Yes", "No", render=forgetful, markers=THINKS)
    assert talk.say("Really?") == "Yes"
    assert talk.chat.last is not None
    assert talk.chat.last.thinking == "hm"
    talk.say("Sure?")
    assert len(talk.given) == 2
    assert talk.given[1][0] == forgetful(talk.chat.messages[:3])
    assert "hm" not in talk.given[1][0]


def test_other_options_of_decoding_need_a_new_session() -> None:
    talk = Talk("One", "Two")
    talk.say("a")
    talk.chat.options = ChatOptions(decoding=Decoding(max_tokens=5))
    talk.say("b")
    assert [session.decoding.max_tokens for session in talk.engine.sessions] == [None, 5]
    assert talk.engine.sessions[0].closed


def test_a_stop_string_ends_the_answer_before_it() -> None:
    talk = Talk("one two three four", "next", stop=("two thr",))
    assert talk.say("Count") == "one "
    assert talk.chat.last is not None
    assert talk.chat.last.finish_reason == "stop_string"
    assert talk.chat.messages[-1]["content"] == "one "
    # The cache holds more than was kept.
    talk.say("Go on")
    assert len(talk.given) == 2


def test_the_limit_of_tokens_is_a_reason_of_its_own() -> None:
    talk = Talk("one two three four", decoding=Decoding(max_tokens=2))
    assert talk.say("Count") == "one two"
    assert talk.chat.last is not None
    assert (talk.chat.last.finish_reason, talk.chat.last.answer_tokens) == ("max_tokens", 2)


def test_cancelling_keeps_what_was_said() -> None:
    talk = Talk("one two three four", "Fine")
    talk.chat.say("Count")
    for piece in talk.chat.proceed():
        if piece.text == " two":
            talk.chat.cancel()
    assert talk.chat.messages[-1] == {"role": "assistant", "content": "one two"}
    assert talk.chat.last is not None
    assert talk.chat.last.finish_reason == "interrupted"
    assert talk.say("Go on") == "Fine"


def test_cancelling_before_anything_was_said_takes_the_question_back() -> None:
    talk = Talk("one", "two")
    talk.say("a")
    talk.chat.say("b")
    stream = talk.chat.proceed()
    talk.engine.answers[0] = ""
    assert list(stream) == []
    assert [m["content"] for m in talk.chat.messages] == ["a", "one"]


def test_a_consumer_that_goes_away_leaves_a_usable_chat() -> None:
    talk = Talk("one two three", "Fine")
    talk.chat.say("Count")
    stream = talk.chat.proceed()
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert talk.engine.sessions[0].cancelled
    assert talk.say("Again") == "Fine"


def test_oldest_turns_go_when_the_context_is_full_and_it_is_said_once() -> None:
    talk = Talk(*["word " * 9 + "word"] * 8, context=100)
    talk.chat.system = "Be kind."
    for number in range(8):
        talk.say(f"question {number} " + "blah " * 5)
    assert len(talk.notices) == 1
    assert "100 tokens" in talk.notices[0]
    last = talk.engine.sessions[-1].given[0]
    assert last.startswith("system: Be kind.")
    assert "question 0" not in last
    assert talk.chat.last is not None
    assert talk.chat.last.dropped_messages > 0
    # Nothing is lost: only the model no longer gets it.
    assert talk.chat.messages[0]["content"].startswith("question 0")


def test_a_prompt_that_cannot_fit_is_refused_with_the_numbers_and_not_kept() -> None:
    talk = Talk("Fine", context=50)
    with pytest.raises(UsageError) as caught:
        talk.say("word " * 60)
    assert "50" in caught.value.what
    assert talk.chat.messages == []
    assert talk.say("Hi") == "Fine"


def test_a_prompt_without_room_for_a_long_answer_is_still_answered() -> None:
    talk = Talk("Fine", context=50)
    assert talk.say("word " * 40 + "word") == "Fine"


def test_regenerating_answers_the_same_question() -> None:
    talk = Talk("One", "Two")
    talk.say("a")
    assert talk.chat.rewind()
    assert "".join(piece.text for piece in talk.chat.proceed()) == "Two"
    assert [m["content"] for m in talk.chat.messages] == ["a", "Two"]
    assert talk.given[1] == talk.given[0]


def test_thinking_that_the_prompt_opened_is_thinking() -> None:
    def opened(messages: Sequence[dict[str, Any]], **more: Any) -> str:
        return render(messages) + "<think>\n"

    talk = Talk("so it is</think>\n\nYes", render=opened, markers=THINKS)
    assert talk.say("Really?") == "Yes"
    assert talk.chat.last is not None
    assert talk.chat.last.thinking == "so it is"


def test_whether_to_think_reaches_the_template() -> None:
    talk = Talk("Yes", think=False)
    talk.say("Really?")
    assert talk.given[0][0].startswith("<think=False>")
