"""Whether a bundle answers, stops, and does not go round in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from litertlm.services.verify.report import Check, Verdict, judged

QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Name three colours.",
)
MAX_TOKENS = 96
_REPEATS = 4  # of the same few words, which make up more than half of the answer


@dataclass(frozen=True)
class Answer:
    """What a model said to one question; `stopped` is whether it ended by itself."""

    question: str
    text: str
    stopped: bool


def check_behaviour(ask: Callable[[str], Answer], questions: Sequence[str] = QUESTIONS) -> Check:
    """Ask a few questions, greedily. Only warns: a base model may well go on and on."""
    answers = [ask(question) for question in questions]
    problems = [
        f"The answer to {answer.question!r} {fault}."
        for answer in answers
        if (fault := fault_of(answer)) is not None
    ]
    return judged(
        "behaviour",
        problems,
        f"{len(answers) - len(problems)} of {len(answers)} answers are there, end and do not loop",
        {"answers": [{"prompt": a.question, "answer": a.text} for a in answers]},
        bad=Verdict.WARNED,
    )


def fault_of(answer: Answer) -> str | None:
    """What is wrong with an answer, or None."""
    words = answer.text.split()
    if not words:
        return "is empty"
    if _loops(words):
        return "repeats itself"
    if not answer.stopped:
        return f"did not end within {MAX_TOKENS} tokens"
    return None


def _loops(words: Sequence[str]) -> bool:
    for length in range(1, 9):
        groups = Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1))
        _, count = groups.most_common(1)[0] if groups else ((), 0)
        if count >= _REPEATS and count * length * 2 > len(words):
            return True
    return False
