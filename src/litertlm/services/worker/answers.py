"""What a model answers, greedily.

    python -m litertlm.services.worker.answers FOLDER

The order: `{"bundle": path, "cache": path or null for none, "threads": count, "questions":
[text, ...], "max_tokens": count, "seconds": number or null}`. The answer: `{"answers": [[token's
text, ...], ...]}`, of as many questions as there was time for, or `failed`: the runtime's reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litertlm.bundle_format.info import read_bundle_info
from litertlm.errors import LiteRtLmError
from litertlm.runtime.engine import Decoding, EngineOptions, Sampling
from litertlm.runtime.litert import load_engine
from litertlm.services.chat.prompt import template_render
from litertlm.services.worker.serve import Orders, obey

_GREEDY = Sampling(temperature=1.0, top_k=1, top_p=1.0, seed=0)


def work(orders: Orders) -> Mapping[str, Any]:
    """See above."""
    order = next(orders)
    bundle = Path(order["bundle"])
    cache = order["cache"]
    options = EngineOptions(threads=order["threads"], cache_dir=cache and Path(cache))
    decoding = Decoding(sampling=_GREEDY, max_tokens=order["max_tokens"])
    answers = []
    try:
        info = read_bundle_info(bundle)
        engine = load_engine(bundle, info, options)
        render = template_render(info)
        ends = time.monotonic() + (order["seconds"] or math.inf)
        for question in order["questions"]:
            session = engine.open_session(decoding)
            tokens = []
            for token in session.generate(render([{"role": "user", "content": question}])):
                tokens.append(token)
                if time.monotonic() > ends:
                    session.cancel()
            session.close()
            answers.append(tokens)
            if time.monotonic() > ends:
                break
    except LiteRtLmError as error:
        return {"failed": error.why or error.what}
    return {"answers": answers}


if __name__ == "__main__":
    obey(work)
