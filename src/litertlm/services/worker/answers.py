"""Greedy answers of a model.

    python -m litertlm.services.worker.answers FOLDER

The request: `{"bundle": path, "cache": path or null for none, "threads": count, "questions":
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
from litertlm.services.chat import template_render
from litertlm.services.worker.serve import Requests, serve

_GREEDY = Sampling(temperature=1.0, top_k=1, top_p=1.0, seed=0)


def work(requests: Requests) -> Mapping[str, Any]:
    """See above."""
    request = next(requests)
    bundle = Path(request["bundle"])
    cache = request["cache"]
    options = EngineOptions(threads=request["threads"], cache_dir=cache and Path(cache))
    decoding = Decoding(sampling=_GREEDY, max_tokens=request["max_tokens"])
    answers = []
    try:
        info = read_bundle_info(bundle)
        engine = load_engine(bundle, info, options)
        render = template_render(info)
        ends = time.monotonic() + (request["seconds"] or math.inf)
        for question in request["questions"]:
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
    serve(work)
