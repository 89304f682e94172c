"""Greedy answers of a model.

    python -m litertlm.services.worker.answers FOLDER

The first request: `{"bundle": path, "cache": path or null for none, "threads": count}`. The second:
`{"prompts": [rendered text, ...], "max_tokens": count, "seconds": number or null}`. The answer:
`{"answers": [[token's text, ...], ...]}`, for as many prompts as there was time for, or `failed`:
the runtime's reason.
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
from litertlm.services.worker.serve import Requests, answer_once

_GREEDY = Sampling(temperature=1.0, top_k=1, top_p=1.0, seed=0)


def work(requests: Requests) -> Mapping[str, Any]:
    """See above."""
    request = next(requests)
    bundle = Path(request["bundle"])
    cache = request["cache"]
    options = EngineOptions(threads=request["threads"], cache_dir=cache and Path(cache))
    answers = []
    try:
        engine = load_engine(bundle, read_bundle_info(bundle), options)
        request = next(requests)
        decoding = Decoding(sampling=_GREEDY, max_tokens=request["max_tokens"])
        ends = time.monotonic() + (request["seconds"] or math.inf)
        for prompt in request["prompts"]:
            session = engine.open_session(decoding)
            tokens = []
            for token in session.generate(prompt):
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
    answer_once(work)
