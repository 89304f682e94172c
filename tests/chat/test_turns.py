"""Three-turn chats give the same answers as the complete history in one prompt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from program import isolated_environment

CAPITALS = ("What is the capital of Germany?", "And of Italy?", "And of Japan?")
SUM = ("What is the capital of Germany?", "What is 2+2?", "What is the capital of Japan?")
HAMLET = ("Who wrote Hamlet?", "When was he born?", "What else did he write?")
WATER = ("What is water made of?", "At what temperature does it boil?", "And freeze?")
TOKENS = 30

# In a process of its own each: an abort must not end the tests, and the cache must be new.
PROGRAM = f"""
import json
import sys
from pathlib import Path
from litertlm.bundle.hf_template import render
from litertlm.runtime.engine import Decoding
from recorder import Recorder
from litertlm.services.chat import RunOptions, load_model

bundle, grown, questions = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
model = load_model("demo", bundle, Path(sys.argv[4]), RunOptions(threads=1), progress=Recorder())

def answer(text):
    session = model.engine.open_session(Decoding(max_tokens={TOKENS}))
    whole = "".join(session.generate(text))
    session.close()
    return whole

if grown:
    answer(" and" * 600)
chat = model.chat(RunOptions(max_tokens={2 * TOKENS}), notice=print)
turns = []
for question in questions:
    chat.say(question)
    for piece in chat.proceed():
        pass
    history = chat.messages[:-1]
    text = render(
        model.info.properties["chat_template"], history, {{}}, add_generation_prompt=True
    )
    assert model.render(history) == text
    answers = chat.messages[-1]["content"], answer(text)
    ids = [model.engine.tokenize(text)[:{TOKENS}] for text in answers]
    turns.append({{"reused": chat.last.reused_tokens, "answers": answers, "ids": ids}})
chat.close()
model.engine.close()
print(json.dumps(turns))
"""


def check(bundle: Path, home: Path, questions: Sequence[str], *, grown: bool = False) -> None:
    environment = isolated_environment(home)
    environment["PYTHONPATH"] += f":{Path(__file__).parents[1]}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, bundle, json.dumps(grown), json.dumps(questions), home],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    turns = json.loads(done.stdout)
    assert [turn["reused"] > 0 for turn in turns] == [False, True, True]
    for turn in turns:
        chat, whole = turn["ids"]
        assert chat == whole, turn["answers"]
        assert len(chat) > 4


def test_the_default_bundle(demo_bundle: Path, home: Path) -> None:
    check(demo_bundle, home, CAPITALS)


def test_the_default_bundle_is_bit_exact_once_the_cache_is_large(
    demo_bundle: Path, home: Path
) -> None:
    """With a cache that grows during the chat, these answers differ: see docs/fidelity.md."""
    for questions in (SUM, WATER):
        check(demo_bundle, home, questions, grown=True)


def test_a_float_bundle(demo_float_bundle: Path, home: Path) -> None:
    """Without rounding to int8, the order of sums does not matter."""
    check(demo_float_bundle, home, HAMLET)
