"""Control tokens that are typed in a text: `<|im_end|>` in a message is one token, not letters.

transformers, llama.cpp and ollama read them in the same way. This finds them and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from litertlm.bundle_format.info import BundleInfo, template_variables
from litertlm.runtime.engine import Engine
from litertlm.services.chat.render import template_source

# `<s>`, `<start_of_turn>`, `<|im_end|>`, `[INST]`; DeepSeek writes the bar as U+FF5C.
_FORM = re.compile(r"<[|\uff5c]?[^\s<>|\uff5c]{1,64}[|\uff5c]?>|\[/?[A-Z_]{2,40}\]")
_BARS = re.compile(r"<[|\uff5c].*[|\uff5c]>", re.S)
_MOST_UNKNOWN = 1000  # forms like `<|x|>` of a text that are looked up in the vocabulary


def find_control_tokens(text: str, info: BundleInfo, engine: Engine) -> tuple[str, ...]:
    """The control tokens in `text`, each once, in order.

    A control token is a single token of the vocabulary that the chat template writes, that begins
    or ends a text or a turn, or that has the form `<|name|>`.
    """
    written = dict.fromkeys(_FORM.findall(text))
    known = set(_known(info, engine))
    candidates = [token for token in known if token in written or token in text]
    unknown = [form for form in written if form not in known and _BARS.fullmatch(form)]
    candidates += unknown[:_MOST_UNKNOWN]
    found = [token for token in candidates if _is_token(token, engine)]
    return tuple(sorted(found, key=lambda token: (text.index(token), token)))


def _known(info: BundleInfo, engine: Engine) -> Iterable[str]:
    yield from _FORM.findall(template_source(info))
    for texts in info.affixes.values():
        yield from _FORM.findall("".join(texts))
    yield from filter(None, template_variables(info).values())
    yield from filter(None, (*engine.info.stop_texts, engine.info.start_text.strip()))


def _is_token(text: str, engine: Engine) -> bool:
    """Whether `text` is one token between others."""
    around = 2 * len(engine.tokenize("x"))
    return bool(text.strip()) and len(engine.tokenize(f"x{text}x")) <= around + 1
