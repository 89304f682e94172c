"""Prompts and token ids from the runtime, and the token ids from the tokenizers library.

    python -m litertlm.services.worker.texts FOLDER

The first request, `{"tokenizer": path or null, "texts": count}`, comes before there is a bundle: a
large tokenizer.json takes a second to load. The second is
`{"bundle": path, "template": bool, "tools": bool}`.

The answer: `prompts`, the runtime's for the conversations of `probe_conversations`, null where it
refuses, none without a template; `texts`, how many were compared; `different`, those whose ids
are not the same ones; `unread`, why the library could not read the tokenizer. Or only `refused`:
the runtime's reason for not loading the bundle.

It imports as little as possible: a conversion waits for it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litertlm.bundle.probe_conversations import probe_conversations
from litertlm.bundle.probe_texts import texts
from litertlm.errors import EngineFailed
from litertlm.runtime.render_tokenize import PromptRenderer, open_prompt_renderer
from litertlm.services.worker.limits import TemplateLimits, limited
from litertlm.services.worker.serve import Requests, answer_once

_SPECIAL = 50  # tokens that are mixed into the texts


def work(requests: Requests) -> Mapping[str, Any]:
    """See above."""
    request = next(requests)
    samples: list[str] = []
    wanted: list[list[int]] = []
    unread = None
    if request["tokenizer"] is not None:
        from tokenizers import Tokenizer

        try:
            reference = Tokenizer.from_file(request["tokenizer"])
            added = [token.content for token in reference.get_added_tokens_decoder().values()]
            # See docs/fidelity.md: SentencePiece writes a space so.
            added = [content for content in added if "\u2581" not in content]
            samples = texts(request["texts"], added[:_SPECIAL])
            encoded = reference.encode_batch(samples, add_special_tokens=False)
            wanted = [one.ids for one in encoded]
        except Exception as error:  # noqa: BLE001  (the library raises nothing narrower)
            unread, samples = str(error), []
            sys.stderr.write(f"{unread}\n")  # the runtime may crash for the same reason
            sys.stderr.flush()
    request = next(requests)
    try:
        with open_prompt_renderer(Path(request["bundle"])) as runtime:
            return {
                "texts": len(samples),
                "different": [
                    text
                    for text, ids in zip(samples, wanted, strict=True)
                    if runtime.tokenize(text) != ids
                ],
                "unread": unread,
                "prompts": _prompts(runtime, request) if request["template"] else [],
            }
    except EngineFailed as error:
        return {"refused": error.why}


def _prompts(runtime: PromptRenderer, request: Mapping[str, Any]) -> list[str | None]:
    # The template may come from outside, with the bundle.
    limits = TemplateLimits()
    with limited(limits.seconds, limits.memory):
        return [
            runtime.render(chat.messages, chat.tools or (), chat.arguments)
            for chat in probe_conversations(tools=request["tools"])
        ]


if __name__ == "__main__":
    answer_once(work)
