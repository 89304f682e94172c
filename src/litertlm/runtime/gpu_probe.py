"""`python -m litertlm.runtime.gpu_probe BUNDLE [CACHE]`: exit code 0 if the GPU can run it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from litertlm.bundle_format.info import read_bundle_info
from litertlm.errors import LiteRtLmError
from litertlm.runtime.engine import Decoding, EngineOptions
from litertlm.runtime.litert import load_engine


def main(arguments: list[str]) -> int:
    """Load the bundle on the GPU and decode one token; prints the reason of a failure on stderr."""
    bundle = Path(arguments[0])
    cache_dir = Path(arguments[1]) if len(arguments) > 1 else None
    try:
        info = read_bundle_info(bundle)
        engine = load_engine(bundle, info, EngineOptions(backend="gpu", cache_dir=cache_dir))
        for _ in engine.open_session(Decoding(max_tokens=1)).generate("a"):
            break
    except LiteRtLmError as error:
        sys.stderr.write(f"{error.why or error.what}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Skip unloading: a driver that fails there can still run the bundle.
    os._exit(code)
