"""`python -m litertlm.runtime.load_probe`: exit code 0 if the runtime's library can be loaded."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Load the library; prints the reason of a failure on stderr."""
    try:
        from litertlm.runtime.litert import load_library

        load_library()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
