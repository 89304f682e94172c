"""Three turns, one after the other, against the whole history at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from litertlm.services.convert import convert
from litertlm.services.options import ConvertOptions
from program import isolated_environment
from recorder import Recorder

QUESTIONS = ("What is the capital of Germany?", "What is 2+2?", "What is the capital of Japan?")
TOKENS = 30

PROGRAM = f"""
import sys
from pathlib import Path
from litertlm.bundle.chat_template import render
from litertlm.runtime.engine import Decoding
from recorder import Recorder
from litertlm.services.run import load_model

bundle = Path(sys.argv[1])
model = load_model("demo", bundle, bundle.parent / "cache", {{}}, progress=Recorder())
chat = model.chat({{}}, notice=print)
for question in {QUESTIONS!r}:
    chat.say(question)
    for piece in chat.proceed():
        pass
    history = chat.messages[:-1]
    text = render(
        model.info.properties["chat_template"], history, {{}}, add_generation_prompt=True
    )
    assert model.render(history) == text
    session = model.engine.open_session(Decoding(max_tokens={TOKENS}))
    whole = "".join(session.generate(text))
    session.close()
    answer = chat.messages[-1]["content"]
    one, other = (model.engine.tokenize(text)[:{TOKENS}] for text in (answer, whole))
    assert one == other, (question, answer, whole)
    print(chat.last.reused_tokens > 0, len(one) > 4)
chat.close()
model.engine.close()
"""


def test_a_chat_equals_the_whole_history_at_once(demo_gguf: Path, home: Path) -> None:
    """In a process of its own, and in float32: int8 rounds a prefill and a decode differently."""
    bundle = home / "float.litertlm"
    convert(demo_gguf, bundle, ConvertOptions(recipe="none"), progress=Recorder())
    environment = isolated_environment(home)
    environment["PYTHONPATH"] += f":{Path(__file__).parents[1]}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, bundle],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["False True", "True True", "True True"]
