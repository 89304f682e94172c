"""Write goldens/prompts.json from transformers' own `apply_chat_template`, or compare with it.

Usage: PYTHONPATH=src:tests python tests/fidelity/make_goldens.py [--check]  (with transformers and
jinja2; PyTorch is not needed)
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, tzinfo
from typing import Any

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from fidelity.cases import (
    GOLDENS,
    SPECIAL_TOKENS,
    conversations,
    digest,
    template_names,
    template_text,
)


class _FixedClock(datetime):
    """The clock that `strftime_now` of templates reads."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _FixedClock:
        return cls(2025, 3, 9, 12, 30, tzinfo=tz)


def _prompt(tokenizer: Any, chat: Any, add_generation_prompt: bool) -> str | None:
    try:
        return str(
            tokenizer.apply_chat_template(
                list(chat.messages),
                tools=None if chat.tools is None else list(chat.tools),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **chat.arguments,
            )
        )
    except Exception as error:  # noqa: BLE001  (a refusal is recorded as such)
        print(type(error).__name__, error)
        return None


def main() -> int:
    goldens = {}
    chat_template_utils.datetime = _FixedClock
    for name in template_names():
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.BPE()), **SPECIAL_TOKENS.get(name, {})
        )
        tokenizer.chat_template = template_text(name)
        goldens[name] = [
            [digest(_prompt(tokenizer, chat, prompt)) for prompt in (True, False)]
            for chat in conversations()
        ]
    if "--check" not in sys.argv:
        GOLDENS.write_text(json.dumps(goldens, indent=0) + "\n", encoding="utf-8")
        return 0
    stored = json.loads(GOLDENS.read_text(encoding="utf-8"))
    different = [
        name for name in goldens.keys() | stored.keys() if goldens.get(name) != stored.get(name)
    ]
    print(f"{len(goldens) - len(different)} templates agree; different: {different or 'none'}")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
