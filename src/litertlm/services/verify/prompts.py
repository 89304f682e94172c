"""Whether a bundle asks the model what its checkpoint would: prompts, token ids, stops, BOS."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from litertlm.bundle import conversations as known
from litertlm.bundle.chat_template import TemplateError, render
from litertlm.bundle.inspect import BundleFacts, read_tokenizer
from litertlm.bundle.prompting import Prompting
from litertlm.bundle.sample_texts import texts
from litertlm.bundle.tokenizer import choose_tokenizer
from litertlm.checkpoint import Tokenizer
from litertlm.runtime.texts import RuntimeTexts, open_texts
from litertlm.services.verify.report import Check, Verdict, judged, not_checked
from litertlm.services.verify.stub import write_stub

_SHOWN = 3  # problems of one kind
_TEXTS = 2000


def check_stored_prompts(bundle: Path, facts: BundleFacts, wanted: Prompting) -> list[str]:
    """What of the metadata is not what the checkpoint says; quick, no engine is started."""
    stored = facts.prompts
    start = () if wanted.start_token_id is None else (wanted.start_token_id,)
    pairs = {
        "stop tokens": (tuple(wanted.stop_token_ids), stored.stop_tokens),
        "start token": (start, stored.start_tokens),
        "chat template": (wanted.template.source, stored.template),
        "thinking": (wanted.supports_thinking, stored.thinking),
        "tools": (wanted.supports_tools, stored.tools),
        "top_k": (_top_k(wanted), stored.sampler["top_k"]),
        "top_p": (round(wanted.sampler.top_p, 6), stored.sampler["top_p"]),
        "temperature": (round(wanted.sampler.temperature, 6), stored.sampler["temperature"]),
    }
    return [
        f"The {name} should be {_short(should)}, but the bundle has {_short(has)}."
        for name, (should, has) in pairs.items()
        if should != has
    ]


def check_stored_tokenizer(bundle: Path, facts: BundleFacts, tokenizer: Tokenizer) -> list[str]:
    """Whether the bundle holds the tokenizer that its checkpoint leads to, byte for byte."""
    chosen = choose_tokenizer(tokenizer)
    if read_tokenizer(bundle, facts.header) != (chosen.kind, chosen.data):
        return ["The tokenizer is not the one that the checkpoint leads to."]
    return []


def check_prompts(
    bundle: Path, facts: BundleFacts, wanted: Prompting, tokenizer: Tokenizer
) -> list[Check]:
    """Render and tokenize in the runtime itself, and compare with the checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        stub = Path(folder) / "stub.litertlm"
        write_stub(bundle, stub)
        with open_texts(stub, Path(folder)) as runtime:
            prompts = _prompts(runtime, wanted, check_stored_prompts(bundle, facts, wanted))
            return [prompts, _tokens(runtime, tokenizer)]


def _prompts(runtime: RuntimeTexts, wanted: Prompting, problems: list[str]) -> Check:
    if wanted.original_template is None:
        return judged("prompts", problems, "a base model, no chat template")
    compared = different = 0
    # The runtime's clock is in UTC.
    now = datetime.now(timezone.utc)
    for chat in (
        *known.plain_conversations(),
        *known.thinking_conversations(),
        *(known.tool_conversations() if wanted.supports_tools else ()),
    ):
        try:
            should = render(
                wanted.original_template,
                chat.messages,
                wanted.template_variables,
                tools=chat.tools,
                strftime_now=now.strftime,
                **chat.arguments,
            )
        except TemplateError:
            continue
        if wanted.template.renders_bos:
            should = should.removeprefix(wanted.template_variables["bos_token"])
        compared += 1
        has = runtime.render(chat.messages, chat.tools or (), chat.arguments)
        if has != should:
            different += 1
            if different <= _SHOWN:
                problems.append(f"A prompt differs: {_difference(should, has)}.")
    return judged(
        "prompts",
        problems,
        f"{compared - different} of {compared} prompts are the bytes of apply_chat_template, "
        f"template {wanted.template.kind}",
        {"conversations": compared, "equal": compared - different},
    )


def _tokens(runtime: RuntimeTexts, tokenizer: Tokenizer) -> Check:
    if tokenizer.json is None:
        return not_checked("tokens", "The checkpoint has no tokenizer.json to compare with.")
    from tokenizers import Tokenizer as Reference

    reference = Reference.from_str(tokenizer.json.decode("utf-8", "surrogatepass"))
    added = [token.content for token in reference.get_added_tokens_decoder().values()]
    samples = texts(_TEXTS, added[:50])
    ids = (encoded.ids for encoded in reference.encode_batch(samples, add_special_tokens=False))
    different = [text for text, should in zip(samples, ids, strict=True)
                 if runtime.tokenize(text) != should]  # fmt: skip
    problems = [f"The ids of {_short(text)} differ." for text in different[:_SHOWN]]
    # The runtime's Unicode tables may be older than those of the tokenizers library.
    few = 0 < len(different) <= len(samples) // 500
    return judged(
        "tokens",
        problems,
        f"the ids of {len(samples) - len(different):,} of {len(samples):,} texts are equal",
        {"texts": len(samples), "equal": len(samples) - len(different)},
        bad=Verdict.WARNED if few else Verdict.FAILED,
    )


def _top_k(wanted: Prompting) -> int:
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
