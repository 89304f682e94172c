"""Which session a prompt gets, and which one is closed."""

from __future__ import annotations

from dataclasses import replace

from litertlm.runtime.engine import Attachment, Decoding
from litertlm.services.chat.chat import Chat, ChatOptions
from litertlm.services.chat.session_pool import SessionPool, Taken
from scripted import RESTART, STOP, ScriptedEngine, ScriptedSession, render

GREEDY = Decoding(max_tokens=7)
LONG = "word " * 20


def engine(*, restarts: bool = True) -> ScriptedEngine:
    return ScriptedEngine((), restarts=restarts)


def used(pool: SessionPool, text: str, answer: str = "yes", decoding: Decoding = GREEDY) -> Taken:
    taken = pool.take(decoding, text)
    pool.give_back(taken.held, text + answer, (STOP,))
    return taken


def test_a_prompt_continues_the_session_that_has_all_of_its_beginning() -> None:
    pool = SessionPool(engine(), most=2)
    first = used(pool, "one ")
    used(pool, "two ")
    taken = pool.take(GREEDY, f"one yes{STOP} more")
    assert taken.held is first.held
    assert taken.rest == " more"


def test_a_changed_prompt_restarts_the_session_with_most_in_common() -> None:
    pool = SessionPool(engine(), most=2)
    used(pool, "another " * 20)
    first = used(pool, LONG + "a")
    taken = pool.take(GREEDY, LONG + "b")
    assert taken.held is first.held
    assert taken.rest == LONG + "b"
    assert taken.common_tokens == 20
    assert first.held.session.given == [RESTART]  # type: ignore[attr-defined]


def test_a_prompt_that_begins_with_all_of_a_cache_of_unknown_end_gets_a_new_session() -> None:
    made = engine()
    pool = SessionPool(made)
    taken = pool.take(GREEDY, LONG)
    pool.give_back(taken.held, LONG + "cut off", ())
    again = pool.take(GREEDY, f"{LONG}cut off and on")
    assert again.held is not taken.held
    assert again.common_tokens == 0


def test_another_conversation_gets_a_session_of_its_own_while_there_is_room() -> None:
    pool = SessionPool(engine(), most=2)
    first, second = used(pool, LONG), used(pool, "unlike " * 20)
    assert first.held is not second.held
    assert len(pool) == 2
    assert used(pool, LONG + "c").held is first.held


def test_the_least_recently_used_session_is_closed() -> None:
    pool = SessionPool(engine(restarts=False), most=2)
    first, second = used(pool, "a " * 20), used(pool, "b " * 20)
    used(pool, f"{'a ' * 20}yes{STOP}x")
    used(pool, "c " * 20)
    assert second.held.session.closed  # type: ignore[attr-defined]
    assert not first.held.session.closed  # type: ignore[attr-defined]


def test_an_engine_without_restarts_opens_new_sessions() -> None:
    made = engine(restarts=False)
    pool = SessionPool(made)
    used(pool, LONG + "a")
    assert pool.take(GREEDY, LONG + "b").common_tokens == 0
    assert [session.closed for session in made.sessions] == [True, False]


def test_other_options_of_decoding_never_share_a_session() -> None:
    pool = SessionPool(engine(), most=2)
    first = used(pool, LONG)
    other = pool.take(replace(GREEDY, max_tokens=9), LONG)
    assert other.held is not first.held
    assert other.common_tokens == 0


def test_a_new_session_on_request() -> None:
    pool = SessionPool(engine(), most=2)
    first = used(pool, LONG)
    assert pool.take(GREEDY, LONG + "a", new=True).held is not first.held


def test_sessions_with_attachments_are_not_restarted(tmp_path: object) -> None:
    made = engine()
    pool = SessionPool(made)
    image = Attachment("image", None, b"x")  # type: ignore[arg-type]
    taken = pool.take(GREEDY, "look", (image,))
    pool.give_back(taken.held, "look yes", (STOP,), (image,))
    assert pool.take(GREEDY, f"look yes{STOP} on", (image,)).held is taken.held
    pool.give_back(taken.held, "look yes", (STOP,), (image,))
    other = pool.take(GREEDY, "look no", (image,))
    assert other.held is not taken.held


def test_conversations_share_a_pool() -> None:
    made = ScriptedEngine(["one", "two"], restarts=True)
    pool = SessionPool(made)
    for question in ("Hi", "Ho"):
        chat = Chat(made, render, ChatOptions(), notice=print, pool=pool)
        chat.say(question)
        list(chat.proceed())
    (session,) = made.sessions
    assert session.given == [
        f"user: Hi{STOP} assistant: ",
        RESTART,
        f"user: Ho{STOP} assistant: ",
    ]
    assert chat.last is not None
    assert chat.last.reused_tokens == 1


def test_memory_closes_sessions_down_to_one() -> None:
    made = engine()
    pool = SessionPool(made, most=8, full=lambda: len(open_sessions(made)) > 2)
    for letter in "abcd":
        used(pool, f"{letter} " * 20)
    assert len(open_sessions(made)) == 2
    pool = SessionPool(made, most=8, full=lambda: True)
    used(pool, LONG)
    assert len(pool) == 1


def open_sessions(made: ScriptedEngine) -> list[ScriptedSession]:
    return [session for session in made.sessions if not session.closed]
