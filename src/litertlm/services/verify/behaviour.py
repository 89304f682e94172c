"""Whether a bundle answers, stops, and does not repeat itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from litertlm.bundle_format.info import read_bundle_info
from litertlm.errors import EngineFailed, NotEnoughResources, TemplateError
from litertlm.memory import free_memory, memory_to_run
from litertlm.services.chat import is_base_model, room_for_cache, template_render
from litertlm.services.verify.report import Check, Verdict, judged, not_checked
from litertlm.services.worker import Worker, WorkerFailed, absolute
from litertlm.units import format_bytes

QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Name three colours.",
)
BEGINNINGS = (
    "The capital of France is",
    "Once upon a time, there was",
    "The sea is",
)
"""For a base model, which continues what it is given, and need not stop."""

MAX_TOKENS = 96
_SHORT_QUESTIONS = 2
_SHORT_TOKENS = 32
_SHORT_ANSWERS = 5.0  # seconds for all of them; a large model says less in that time
# When to give up, on a machine on which the runtime hangs.
_SECONDS, _SHORT_SECONDS = 1200.0, 180.0
_REPEATS = 4  # of the same few words or tokens, which make up more than half of the answer
_SHOWN = 40  # characters of an answer


@dataclass(frozen=True)
class ProbeAnswer:
    """The answer of a model to one question.

    Attributes:
        tokens: the text of each.
        stopped: whether it ended by itself; None where it need not, or had no time to.
    """

    question: str
    tokens: Sequence[str]
    stopped: bool | None

    @property
    def text(self) -> str:
        return "".join(self.tokens).strip()


def check_behaviour(bundle: Path, cache: Path | None, *, threads: int) -> Check:
    """Ask a few questions, greedily. Problems are warnings: a small model may well repeat itself.

    Args:
        cache: for the runtime's packed weights; None keeps none.

    Raises:
        DamagedBundle, EngineFailed: the runtime does not load the bundle, or ends.
        TemplateError: its chat template refuses a question, or exceeds a limit.
        NotEnoughResources: there is no memory to render it.
    """
    base = is_base_model(read_bundle_info(bundle))
    questions = BEGINNINGS if base else QUESTIONS
    try:
        found = _asked(bundle, cache, questions, MAX_TOKENS, threads=threads, seconds=_SECONDS)
    except WorkerFailed as failure:
        raise EngineFailed(
            f"The runtime could not answer with {bundle}.", why=str(failure)
        ) from failure
    return judge_answers(
        ProbeAnswer(question, tokens, None if base else len(tokens) < MAX_TOKENS)
        for question, tokens in zip(questions, found, strict=True)
    )


def check_behaviour_briefly(bundle: Path, cache: Path | None) -> Check:
    """Two short answers after a conversion: are they there, do they loop? Never raises.

    Args:
        cache: for the runtime's packed weights, if the disk holds them; None keeps none.
    """
    size = bundle.stat().st_size
    needed, free = memory_to_run(size), free_memory()
    if free is not None and needed > free:
        why = f"It needs about {format_bytes(needed)} of memory, and {format_bytes(free)} are free."
        return not_checked("behaviour", why)
    if cache is not None and not room_for_cache(cache, bundle):
        cache = None
    base = is_base_model(read_bundle_info(bundle))
    questions = (BEGINNINGS if base else QUESTIONS)[:_SHORT_QUESTIONS]
    try:
        found = _asked(
            bundle,
            cache,
            questions,
            _SHORT_TOKENS,
            threads=os.cpu_count() or 1,
            seconds=_SHORT_SECONDS,
            answering=_SHORT_ANSWERS,
        )
    except WorkerFailed as failure:
        return not_checked("behaviour", f"The runtime could not answer: {failure}.")
    except (TemplateError, NotEnoughResources) as error:
        return not_checked("behaviour", f"{error.what} {error.why}")
    return judge_answers(
        ProbeAnswer(question, tokens, None)
        for question, tokens in zip(questions, found, strict=False)
    )


def _asked(
    bundle: Path,
    cache: Path | None,
    questions: Sequence[str],
    max_tokens: int,
    *,
    threads: int,
    seconds: float,
    answering: float | None = None,
) -> list[list[str]]:
    """The tokens of each answer; from a process of its own, which native code may crash.

    Args:
        seconds: when to give up.
        answering: seconds for the answers, once the bundle is loaded. After them the current
            answer ends and no other question is asked; the first one always is.

    Raises:
        WorkerFailed: there are none.
        TemplateError: the bundle's chat template refuses a question, or exceeds a limit.
        NotEnoughResources: there is no memory to render it.
    """
    with Worker("answers") as worker, template_render(read_bundle_info(bundle)) as render:
        worker.send(
            {
                "bundle": absolute(bundle),
                "cache": cache and absolute(cache),
                "threads": threads,
            }
        )
        prompts = [render([{"role": "user", "content": question}]) for question in questions]
        worker.send({"prompts": prompts, "max_tokens": max_tokens, "seconds": answering})
        answer = worker.receive(seconds)
    if "failed" in answer:
        why = " ".join(answer["failed"].split())
        raise WorkerFailed(why, of_the_machine=False, cause="exit")
    tokens: list[list[str]] = answer["answers"]
    return tokens


def judge_answers(answers: Iterable[ProbeAnswer]) -> Check:
    """Passed, or a warning with the problems."""
    answers = list(answers)
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


def fault_of(answer: ProbeAnswer) -> str | None:
    """What is wrong with an answer, or None."""
    if not answer.text:
        return "is empty"
    if _loops(answer.text.split()) or _loops(answer.tokens):
        shown = answer.text[:_SHOWN] + "..." * (len(answer.text) > _SHOWN)
        return f"repeats itself: {shown!r}"
    if answer.stopped is False:
        return f"did not end within {MAX_TOKENS} tokens"
    return None


def _loops(parts: Sequence[str]) -> bool:
    for length in range(1, 9):
        groups = Counter(tuple(parts[i : i + length]) for i in range(len(parts) - length + 1))
        _, count = groups.most_common(1)[0] if groups else ((), 0)
        if count >= _REPEATS and count * length * 2 > len(parts):
            return True
    return False
