"""Three-turn chats compared with their complete history in one prompt: how many answers are equal.

    python bench/turns.py

Downloads the demo model, converts it, and runs twelve chats with each bundle. Each answer is
compared with the same bundle's greedy answer to the complete history in a new session: the first
30 tokens must be equal in all three turns. Three rows: dynamic_int8 in a new engine, whose KV
cache grows with the text; dynamic_int8 in an engine whose cache has grown already; and float32 in
a new engine.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo import convert

from litertlm.runtime.engine import Decoding
from litertlm.services.chat import LoadedModel, RunOptions, load_model

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
    """Load the model in a new engine; with `grown`, prefill a long text in it first."""
    model = load_model("demo", bundle, bundle.parent / "cache", RunOptions(), progress=Quiet())
    if grown:
        answer(model, " and" * GROWN, 1)
    return model


def answer(model: LoadedModel, text: str, tokens: int = TOKENS) -> str:
    """The answer to a prompt in a new session."""
    session = model.engine.open_session(Decoding(max_tokens=tokens))
    try:
        return "".join(session.generate(text))
    finally:
        session.close()


def equal(bundle: Path, questions: tuple[str, ...], grown: bool) -> bool:
    """Whether all answers of one chat equal the answers to the complete history."""
    model = load(bundle, grown)
    chat = model.chat(RunOptions(max_tokens=2 * TOKENS), notice=lambda text: None)
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
