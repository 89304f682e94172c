"""Chats of three turns against their whole history sent at once: how many answers are equal.

    python bench/turns.py

Downloads the demo model, converts it, and holds twelve chats with each bundle. Every answer is
compared with what the same bundle answers, greedily, to the whole history in a session of its
own: the first 30 tokens must be equal in all three turns. Three rows: dynamic_int8 in a fresh
engine, whose cache grows with the text; dynamic_int8 in an engine whose cache is large already;
and float32 in a fresh engine.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo import convert

from litertlm.runtime.engine import Decoding
from litertlm.services.chat.run import LoadedModel, load_model

TOKENS = 30
CHATS = (
    ("What is the capital of Germany?", "What is 2+2?", "What is the capital of Japan?"),
    ("What is the capital of Germany?", "And of Italy?", "And of Japan?"),
    ("What is the capital of France?", "How many people live there?", "Which river is there?"),
    ("Name three colours.", "Name three animals.", "Name three fruits."),
    ("Who wrote Hamlet?", "When was he born?", "What else did he write?"),
    ("What is water made of?", "At what temperature does it boil?", "And freeze?"),
    ("Hello!", "How are you?", "What can you do?"),
    ("Write one sentence about the sea.", "Now one about the sky.", "Now one about the moon."),
    ("What is the largest planet?", "What is the smallest planet?", "Which planet is red?"),
    ("What is a noun?", "What is a verb?", "What is an adjective?"),
    ("How many days has a week?", "How many months has a year?", "How many hours has a day?"),
    ("What is the capital of France?", "What is the capital of Spain?", "And of Portugal?"),
)
GROWN = 600  # tokens, more than any of these chats has


class Quiet:
    """A `Progress` that shows nothing."""

    def status(self, text: str) -> None:
        pass

    detail = warn = status

    @contextlib.contextmanager
    def task(self, label: str, total_bytes: int) -> Iterator[Quiet]:
        yield self

    def advance(self, nbytes: int) -> None:
        pass


def load(bundle: Path, grown: bool) -> LoadedModel:
    """The model in an engine of its own; with `grown`, the engine has read a long text."""
    model = load_model("demo", bundle, bundle.parent / "cache", {}, progress=Quiet())
    if grown:
        answer(model, " and" * GROWN, 1)
    return model


def answer(model: LoadedModel, text: str, tokens: int = TOKENS) -> str:
    """The answer to a prompt's text, in a session of its own."""
    session = model.engine.open_session(Decoding(max_tokens=tokens))
    try:
        return "".join(session.generate(text))
    finally:
        session.close()


def equal(bundle: Path, questions: tuple[str, ...], grown: bool) -> bool:
    """Whether all answers of one chat are those to the whole history."""
    model = load(bundle, grown)
    chat = model.chat({"max_tokens": 2 * TOKENS}, notice=lambda text: None)
    pairs = []
    for question in questions:
        chat.say(question)
        for _ in chat.proceed():
            pass
        pairs.append((model.render(chat.messages[:-1]), str(chat.messages[-1]["content"])))
    chat.close()
    same = True
    for prompt, said in pairs:
        if not grown:
            model.engine.close()
            model = load(bundle, grown)
        tokenize = model.engine.tokenize
        same &= tokenize(said)[:TOKENS] == tokenize(answer(model, prompt))[:TOKENS]
    model.engine.close()
    return same


def main() -> None:
    print("| bundle | the engine's cache | chats | equal |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for recipe, grown in (("dynamic_int8", False), ("dynamic_int8", True), ("none", False)):
            bundle = convert(recipe, folder)
            count = sum(equal(bundle, questions, grown) for questions in CHATS)
            cache = "is large already" if grown else "grows with the text"
            print(f"| `{recipe}` | {cache} | {len(CHATS)} | {count} |")


if __name__ == "__main__":
    main()
