"""Compare a bundle's prompts, token ids, stop tokens and BOS with those of its checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from litertlm.bundle.prompt_config import PromptConfig
from litertlm.bundle_format.info import BundleInfo, SamplerDefaults
from litertlm.checkpoint import Tokenizer
from litertlm.constants import TOKENIZER_FILE
from litertlm.services.verify.report import Check, Verdict, judged, not_checked
from litertlm.services.verify.stub_bundle import plain_sections, write_stub
from litertlm.services.worker import TemplateProcess, Worker, WorkerFailed, absolute

_SHOWN = 3  # problems of one kind
_SECONDS = 300.0  # more than the largest tokenizer takes on a slow machine
_NO_REFERENCE = "The checkpoint has no tokenizer.json to compare with."


def check_stored_prompts(stored: BundleInfo, wanted: PromptConfig) -> list[str]:
    """The differences of a bundle's metadata from what the checkpoint says."""
    start = () if wanted.start_token_id is None else (wanted.start_token_id,)
    sampler = stored.sampler or SamplerDefaults()
    pairs = {
        "stop tokens": (tuple(wanted.stop_token_ids), stored.stop_tokens),
        "suppressed tokens": (wanted.suppressed_token_ids, stored.suppressed_tokens),
        "start token": (start, stored.start_tokens),
        "chat template": (wanted.template.source, stored.template),
        "thinking": (wanted.supports_thinking, stored.thinking),
        "tools": (wanted.supports_tools, stored.tools),
        "top_k": (_top_k(wanted), sampler.top_k or 0),
        "top_p": (_rounded(wanted.sampler.top_p), _rounded(sampler.top_p)),
        "temperature": (_rounded(wanted.sampler.temperature), _rounded(sampler.temperature)),
    }
    return [
        f"The {name} should be {_short(should)}, but the bundle has {_short(has)}."
        for name, (should, has) in pairs.items()
        if should != has
    ]


class RuntimeComparison:
    """A process in which the runtime renders prompts and tokenizes texts with a bundle's sections.

    It uses a stub of a few kilobytes, so that this runs while the weights are written.

    Attributes:
        unavailable_reason: why something could not be compared on this machine; empty if all was.
        damaged_tokenizer: why the runtime does not load the checkpoint's tokenizer, where no other
            library does either; empty if it does.
    """

    def __init__(
        self, worker: Worker, templates: TemplateProcess, tokenizer_json: bytes | None = None
    ) -> None:
        self.unavailable_reason = ""
        self.damaged_tokenizer = ""
        self._tokenizer_json = tokenizer_json
        self._worker = worker
        self._templates = templates
        self._started = datetime.now(timezone.utc)

    def begin(self, sections: Mapping[str, bytes], wanted: PromptConfig) -> None:
        """Start on a bundle with these sections, by kind."""
        self._started = datetime.now(timezone.utc)
        stub = self._worker.folder / "stub.litertlm"
        # A worker that has failed already removes the folder; `checks` then says why it failed.
        with suppress(FileNotFoundError):
            write_stub(sections, stub)
        self._worker.send(
            {
                "bundle": absolute(stub),
                "template": wanted.template.kind != "none",
                "tools": wanted.supports_tools,
            }
        )

    def checks(self, wanted: PromptConfig, stored_problems: Sequence[str]) -> list[Check]:
        """Wait for the runtime's results, and compare them with what the checkpoint says.

        Where the runtime does not work on this machine at all, nothing is checked.

        Args:
            stored_problems: of `check_stored_prompts`.
        """
        problems = list(stored_problems)
        refused = ""
        try:
            answer = self._worker.receive(_SECONDS)
            if "refused" in answer:
                refused = f"{self._worker.stderr_tail()} {answer['refused']}".strip()
        except WorkerFailed as failure:
            answer, refused = {}, str(failure)
            if failure.of_the_machine:
                return self._unavailable(problems, refused)
        if refused or "prompts" not in answer:
            # Either this bundle or this machine: the runtime loads a plain one, or it does not.
            if reason := _why_a_plain_bundle_fails():
                return self._unavailable(problems, reason)
            if self._tokenizer_json is None or _why_a_plain_bundle_fails(self._tokenizer_json):
                self.damaged_tokenizer = refused
            problems.append(f"The runtime does not read its tokenizer and template: {refused}")
            return [judged("prompts", problems, ""), not_checked("tokens", "It cannot be loaded.")]
        self.unavailable_reason = answer["unread"] or ""
        return [
            self._prompts(answer["prompts"], wanted, problems),
            _tokens(answer),
        ]

    def _prompts(
        self, rendered: Sequence[str | None], wanted: PromptConfig, problems: list[str]
    ) -> Check:
        if wanted.template.kind == "none":
            return judged("prompts", problems, "a base model, no chat template")
        stored = len(problems)
        expected = self._expected(wanted, self._started)
        if list(rendered) != expected:
            # The runtime's clock is in UTC, and a day may have begun in between.
            later = self._expected(wanted, datetime.now(timezone.utc))
            expected = [
                new if has == new else old
                for has, old, new in zip(rendered, expected, later, strict=True)
            ]
        pairs = zip(expected, rendered, strict=True)
        compared = [(should, has) for should, has in pairs if should is not None]
        different = [(should, has) for should, has in compared if has != should]
        problems += [
            f"A prompt differs: {_difference(should, has)}." for should, has in different[:_SHOWN]
        ]
        plain = wanted.template.kind == "fallback"  # the conversion reports that, with the reasons
        only_differs = plain and not stored and None not in rendered[:1]
        what = "the bytes of apply_chat_template"
        if wanted.original_template is None:
            what = "those of the plain template"
        return judged(
            "prompts",
            problems,
            f"{len(compared) - len(different)} of {len(compared)} prompts are {what}, "
            f"template {wanted.template.kind}",
            {"conversations": len(compared), "equal": len(compared) - len(different)},
            bad=Verdict.WARNED if only_differs else Verdict.FAILED,
        )

    def _expected(self, wanted: PromptConfig, now: datetime) -> list[str | None]:
        """The prompts of the checkpoint's own template; None where it refuses a conversation."""
        texts = self._templates.render_probes(
            wanted.original_template or wanted.template.source,
            wanted.template_variables,
            tools=wanted.supports_tools,
            now=now,
        )
        bos = wanted.template_variables["bos_token"] if wanted.template.renders_bos else ""
        return [text if text is None else text.removeprefix(bos) for text in texts]

    def _unavailable(self, problems: Sequence[str], why: str) -> list[Check]:
        self.unavailable_reason = f"The runtime does not work on this machine: {why}."
        prompts = not_checked("prompts", self.unavailable_reason)
        if problems:
            prompts = judged("prompts", problems, "")
        return [prompts, not_checked("tokens", self.unavailable_reason)]


@contextmanager
def compare_in_runtime(
    tokenizer: Tokenizer, texts: int, templates: TemplateProcess
) -> Iterator[RuntimeComparison]:
    """Start the process, which loads the checkpoint's own tokenizer at once.

    The process is killed at the end of the context.

    Args:
        texts: how many texts to compare.
        templates: renders the prompts that the runtime's are compared with.
    """
    # The converting threads have priority: while the file is hashed, one processor is idle.
    with Worker("texts", low_priority=True) as worker:
        own = None
        if tokenizer.json is not None:
            own = worker.folder / TOKENIZER_FILE
            own.write_bytes(tokenizer.json)
        worker.send({"tokenizer": own and absolute(own), "texts": texts})
        yield RuntimeComparison(worker, templates, tokenizer.json)


def _why_a_plain_bundle_fails(tokenizer_json: bytes | None = None) -> str:
    """Why the runtime cannot load even a plain bundle on this machine; empty if it can.

    Args:
        tokenizer_json: a file that the tokenizers library must be able to read as well.
    """
    with Worker("texts") as worker:
        stub, own = worker.folder / "plain.litertlm", None
        with suppress(FileNotFoundError):  # it has failed already, and says why below
            write_stub(plain_sections(), stub)
            if tokenizer_json is not None:
                own = worker.folder / "tokenizer.json"
                own.write_bytes(tokenizer_json)
        worker.send({"tokenizer": own and absolute(own), "texts": 0})
        worker.send({"bundle": absolute(stub), "template": False, "tools": False})
        try:
            answer = worker.receive(_SECONDS)
        except WorkerFailed as failure:
            return str(failure)
    return str(answer.get("refused") or answer["unread"] or "")


def _tokens(answer: Mapping[str, Any]) -> Check:
    count, different = answer["texts"], answer["different"]
    if not count:
        return not_checked("tokens", answer["unread"] or _NO_REFERENCE)
    problems = [f"The ids of {_short(text)} differ." for text in different[:_SHOWN]]
    # A few texts may differ for the reasons in docs/fidelity.md.
    few = 0 < len(different) <= max(1, count // 500)
    return judged(
        "tokens",
        problems,
        f"the ids of {count - len(different):,} of {count:,} texts are equal",
        {"texts": count, "equal": count - len(different)},
        bad=Verdict.WARNED if few else Verdict.FAILED,
    )


def _rounded(value: float | None) -> float:
    """A parameter without the error of 32-bit floats; one that is not stored is 0."""
    return round(value or 0.0, 6)


def _top_k(wanted: PromptConfig) -> int:
    return 1 if wanted.sampler.kind == "greedy" else wanted.sampler.top_k


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _difference(should: str, has: str | None) -> str:
    if has is None:
        return "the runtime refuses it"
    pairs: Sequence[tuple[str, str]] = list(zip(should, has, strict=False))
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    return f"{has[at : at + 30]!r} instead of {should[at : at + 30]!r} at character {at}"
